"use strict";
// The served page: pictures and camera frames go to /api/infer, the answers are drawn beside them; the curves of the run come from
// /api/history, again and again while it is in progress. Needs common.js.
const $ = (id) => document.getElementById(id);
const largest = 1600;          // pixels of a side that are sent; a face needs far fewer
const kept = 20;               // pictures on the page
const pollSeconds = 3, framesPerSecond = 5;
let model = { ready: false, classes: [], max_bytes: 16 << 20 };

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function answerOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw Object.assign(new Error(body.error || `The server answers ${response.status}.`), { status: response.status });
}
const get = async (path) => answerOf(await fetch(path));

// ---- what a picture and its faces look like ---------------------------------------------------------------------------------------

function bars(face) {
  return element("ul", { class: "bars", "aria-label": "probabilities" }, ...Object.entries(face.probabilities).map(([name, p]) => {
    const fill = element("span", { class: "fill" });
    fill.style.width = `${100 * p}%`;
    const best = name === face.prediction ? " best" : "";
    return element("li", {}, element("span", { class: "name" + best }, name), element("span", { class: "track", "aria-hidden": "true" }, fill), element("span", { class: "value" + best }, percent(p)));
  }));
}

// The circumplex of affect (Russell, 1980): valence to the right, arousal upwards.
function circumplex(face) {
  const text = `valence ${face.valence.toFixed(2)}, arousal ${face.arousal.toFixed(2)}`;
  const canvas = element("canvas", { class: "affect", role: "img", "aria-label": text });
  const draw = () => {
    const ratio = devicePixelRatio || 1, side = 192, middle = side / 2, r = 66;
    canvas.width = canvas.height = side * ratio;
    const c = canvas.getContext("2d");
    c.scale(ratio, ratio);
    c.strokeStyle = css("--soft"), c.fillStyle = css("--soft"), c.lineWidth = 1, c.font = "12px system-ui, sans-serif", c.textAlign = "center";
    c.beginPath(), c.arc(middle, middle, r, 0, 7), c.moveTo(middle - r, middle), c.lineTo(middle + r, middle), c.moveTo(middle, middle - r), c.lineTo(middle, middle + r), c.stroke();
    c.fillText("excited", middle, middle - r - 8), c.fillText("calm", middle, middle + r + 16);
    for (const [side_, label] of [[-1, "unpleasant"], [1, "pleasant"]]) {
      c.save(), c.translate(middle + side_ * (r + 10), middle), c.rotate(side_ * Math.PI / 2), c.fillText(label, 0, 0), c.restore();
    }
    const clip = (v) => Math.max(-1.2, Math.min(1.2, v));
    c.fillStyle = `rgb(${css("--accent")})`;
    c.beginPath(), c.arc(middle + r * clip(face.valence), middle - r * clip(face.arousal), 6, 0, 7), c.fill();
  };
  draw();
  canvas.redraw = draw;
  return element("figure", {}, canvas, element("figcaption", {}, text));
}
redraws.push(() => document.querySelectorAll("canvas.affect").forEach((c) => c.redraw()));

function faceText(face, i, all) {
  const number = all.length > 1 ? `${i + 1}: ` : "";
  return number + (face.prediction ? `${face.prediction} ${percent(face.probability)}` : "face");
}

function faceElement(face, i, all) {
  return element("div", { class: "face" }, element("h3", {}, faceText(face, i, all)),
    element("div", { class: "parts" }, ...(face.probabilities ? [bars(face)] : []), ...(isKnown(face.valence) ? [circumplex(face)] : [])));
}

function drawBoxes(canvas, faces, scale, mirrored) {
  const c = canvas.getContext("2d"), size = Math.max(2, canvas.width / 250);
  c.lineWidth = size, c.font = `600 ${Math.max(12, 6 * size)}px system-ui, sans-serif`, c.textBaseline = "bottom";
  faces.forEach((face, i) => {
    if (!face.box) return;
    let [x, y, w, h] = face.box.map((v) => v * scale);
    if (mirrored) x = canvas.width - x - w;
    const text = faceText(face, i, faces), height = Math.max(12, 6 * size) * 1.3, top = y > height ? y : y + h + height;
    c.strokeStyle = c.fillStyle = colour(i % 7);   // black can be read on all of them
    c.strokeRect(x, y, w, h);
    c.fillRect(x - size / 2, top - height, c.measureText(text).width + 4 * size, height);
    c.fillStyle = "#000000";
    c.fillText(text, x + 1.5 * size, top - 0.1 * height);
  });
}

// An article of a picture, on top of the others. `canvas`: null where the browser cannot show it.
function article(name, canvas) {
  const faces = element("div", { class: "faces" }), caption = element("figcaption", {}, name);
  const made = element("article", { class: "picture", "aria-label": name }, element("figure", {}, ...(canvas ? [canvas] : []), caption), faces);
  $("pictures").prepend(made);
  while ($("pictures").children.length > kept) $("pictures").lastChild.remove();
  $("clear").hidden = false;
  return { element: made, show: (list, otherwise = "No face found.") => faces.replaceChildren(...(list.length ? list.map(faceElement) : [otherwise])) };
}

// ---- pictures from files, the clipboard, or dropped -----------------------------------------------------------------------------------

const blobOf = (canvas, type, quality) => new Promise((done) => canvas.toBlob(done, type, quality));

// The picture as the browser shows it, turned as the camera was held, and scaled down where it is large; null where it cannot show it.
async function canvasOf(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, largest / Math.max(bitmap.width, bitmap.height));
  const canvas = element("canvas", { class: "seen", role: "img", "aria-label": file.name || "pasted picture" });
  canvas.width = Math.max(1, Math.round(bitmap.width * scale)), canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.classList.toggle("small", canvas.width < 150);
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";   // behind what is transparent, as the server does it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

async function infer(blob, detect) {
  if (blob.size > model.max_bytes) throw new Error(`The picture has ${(blob.size / 1e6).toFixed(1)} MB, and the server takes ${(model.max_bytes / 1e6).toFixed(1)} MB.`);
  const response = await fetch(`/api/infer?detect=${detect ? 1 : 0}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: blob });
  return (await answerOf(response)).images[0];
}

async function lookAt(file) {
  const name = file.name || "pasted picture";
  say(`Looking at ${name}.`);
  try {
    const canvas = await canvasOf(file);
    const blob = canvas ? await blobOf(canvas, "image/png") : file;
    const image = await infer(blob, $("detect").checked);
    if (canvas) drawBoxes(canvas, image.faces, 1, false);
    const made = article(`${name}, ${image.width}×${image.height}`, canvas);
    const tell = (faces) => say(`${name}: ${faces.map(faceText).join("; ") || "no face found"}`);
    const whole = element("button", { type: "button" }, "Take the whole picture for a face");
    whole.addEventListener("click", () => infer(blob, false).then(({ faces }) => { made.show(faces); tell(faces); }, (e) => say(`${name}: ${e.message}`, true)));
    made.show(image.faces, element("div", {}, element("p", {}, "No face found."), whole));
    tell(image.faces);
  } catch (e) {
    say(`${name}: ${e.message}`, true);
  }
}

async function lookAtAll(files) {
  for (const file of files) await lookAt(file);
}

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => { const files = [...$("files").files]; $("files").value = ""; lookAtAll(files); });
$("clear").addEventListener("click", () => { stopCamera(); $("pictures").replaceChildren(); $("clear").hidden = true; say(""); $("choose").focus(); });
for (const type of ["dragenter", "dragover"]) addEventListener(type, (e) => { e.preventDefault(); $("drop").classList.add("over"); });
addEventListener("dragleave", (e) => { if (!e.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", (e) => {
  e.preventDefault();
  $("drop").classList.remove("over");
  if (model.ready) lookAtAll([...e.dataTransfer.files]);
});
addEventListener("paste", (e) => { if (model.ready) lookAtAll([...e.clipboardData.files]); });

// ---- the camera: shown as a mirror, asked about a few times a second ---------------------------------------------------------------

let stream = null;
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function stopCamera() {
  if (stream) stream.getTracks().forEach((t) => t.stop());
  stream = null;
  $("camera").textContent = "Use the camera";
}

async function startCamera() {
  if (!navigator.mediaDevices) return say("The browser gives the camera to pages from localhost or over HTTPS only. Fix: open this page on the machine it runs on, or through ssh -L.", true);
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } });
  } catch (e) {
    return say(`The camera cannot be used: ${e.message}.`, true);
  }
  $("camera").textContent = "Stop the camera";
  const mine = stream, video = element("video", { playsinline: "", muted: "" });
  video.muted = true;
  video.srcObject = mine;
  await video.play();
  if (stream !== mine) return;
  const canvas = element("canvas", { class: "seen", role: "img", "aria-label": "camera" }), frame = element("canvas");
  canvas.width = frame.width = video.videoWidth, canvas.height = frame.height = video.videoHeight;
  const shown = article("camera, mirrored", canvas);
  let faces = [];
  const mirror = () => {
    if (stream !== mine) return;
    const context = canvas.getContext("2d");
    context.save(), context.scale(-1, 1), context.drawImage(video, -canvas.width, 0, canvas.width, canvas.height), context.restore();
    drawBoxes(canvas, faces, 1, true);
    requestAnimationFrame(mirror);
  };
  mirror();
  say("The camera is on.");
  while (stream === mine && shown.element.isConnected) {
    const next = wait(1000 / framesPerSecond);
    if (!document.hidden) {
      frame.getContext("2d").drawImage(video, 0, 0);
      try {
        faces = (await infer(await blobOf(frame, "image/jpeg", 0.9), $("detect").checked)).faces;
        shown.show(faces);
      } catch (e) {
        say(e.message, true);
        if (e.status !== 503) break;
        await wait(1000);
      }
    }
    await next;
  }
  if (stream === mine) stopCamera();
}

$("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));

// ---- the run: what is served, and its curves while it is in progress -----------------------------------------------------------------

function showModel() {
  const parts = [model.model, model.run && `run ${model.run}`, model.size && `input ${model.size}×${model.size}×${model.channels}`,
    model.ready && (model.classes.length ? `classes: ${model.classes.join(", ")}` : "valence and arousal"), model.device];
  document.title = model.model ? `VkFER: ${model.model}` : "VkFER";
  $("about").textContent = parts.filter(Boolean).join(" · ") + (model.ready ? "" : `. ${model.reason}.`);
  for (const id of ["choose", "camera"]) $(id).disabled = !model.ready;
}

const states = {
  training: (n, all) => `In progress: ${n} of ${all} epochs are finished.`,
  finished: (n) => `Finished, ${n} epochs.`,
  stopped: (n, all) => `Not in progress: ${n} of ${all} epochs are finished.`,
};
let drawn = "";   // which curves there are

function showHistory(history) {
  $("training").hidden = history.state === "none";
  if (history.state === "none") return;
  const rows = history.history, last = rows[rows.length - 1];
  $("progress").textContent = states[history.state](rows.length, history.epochs) + (last && isKnown(last.val_accuracy) ? ` Validation accuracy ${percent(last.val_accuracy)}, loss ${digits(last.val_loss)}.` : "");
  run.history = rows;
  const kinds = curvesDrawn.flatMap(([, , members]) => members).map(([key]) => rows.some((r) => isKnown(r[key]))).join() + (rows.length < 30);
  if (kinds !== drawn) {
    forgetCharts();
    $("curves").replaceChildren(...learningCurves([run]));
    drawn = kinds;
    drawCharts();
  } else {
    updateCharts();
  }
}
const run = { name: "", history: [] };

let polling = null;
async function poll() {
  clearTimeout(polling);
  polling = null;
  let again = true;
  try {
    const [newest, history] = [await get("/api/model"), await get("/api/history")];
    model = newest;
    showModel();
    showHistory(history);
    again = history.state === "training" || !model.ready;
  } catch (e) {
    $("about").textContent = `The server does not answer: ${e.message}.`;
  }
  if (again && !document.hidden && !polling) polling = setTimeout(poll, 1000 * pollSeconds);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
