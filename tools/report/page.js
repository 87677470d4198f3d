// Draws the report from the JSON in #data. Every section is a function of all runs; it returns its elements, or a text that says why
// there is nothing to show.
const report = JSON.parse(document.getElementById("data").textContent);
const runs = report.runs;
const main = document.getElementById("main");
const interval = (s) => (s && s.low !== undefined && s.low !== null ? `${digits(s.low)} to ${digits(s.high)}` : "");
// A path that may be broken behind its slashes, rather than within a number.
const path = (id) => element("span", {}, ...id.split(/(?<=\/)/).flatMap((part) => [part, element("wbr")]));
const named = (i) => (runs.length > 1 ? runs[i].name + ": " : "");

// ---- sections -----------------------------------------------------------------------------------------------------------------

const titles = [["accuracy", "accuracy"], ["top2_accuracy", "top-2 accuracy"], ["top3_accuracy", "top-3 accuracy"], ["top5_accuracy", "top-5 accuracy"],
  ["balanced_accuracy", "balanced accuracy"], ["macro_f1", "macro F1"], ["weighted_f1", "weighted F1"], ["kappa", "Cohen's kappa"],
  ["alpha", "Krippendorff's alpha"], ["auc_roc", "AUC-ROC, one class against the rest"], ["auc_pr", "AUC-PR, one class against the rest"],
  ["log_loss", "cross-entropy"], ["ece", "expected calibration error"]];
const affectTitles = [["rmse", "RMSE"], ["mae", "MAE"], ["ccc", "CCC"], ["pearson", "Pearson's r"], ["sagr", "sign agreement (SAGR)"], ["r2", "R²"]];
const smallerIsBetter = new Set(["log_loss", "ece", "rmse", "mae"]);

function scoreRows(body, list, of) {
  for (const [figure, title] of list) {
    const scores = runs.map((r) => (of ? (r.scores[of] || {})[figure] : r.scores[figure]));
    if (scores.every((s) => s === undefined)) continue;
    const row = element("tr", {}, element("th", { scope: "row" }, title));
    scores.forEach((s, i) => {
      row.append(element("td", {}, s ? digits(s.value) : "-"), element("td", { class: "soft" }, s ? interval(s) : ""));
      if (i === 0 || !s || !scores[0] || s.value === null || scores[0].value === null) return i > 0 && row.append(element("td", {}, ""));
      const gain = scores[0].value - s.value, better = smallerIsBetter.has(figure) ? gain < 0 : gain > 0;
      row.append(element("td", { class: gain === 0 ? "" : better ? "better" : "worse" }, (gain > 0 ? "+" : "") + digits(gain)));
    });
    body.append(row);
  }
}

function summary() {
  const head = element("tr", {}, element("th", { scope: "col" }, "figure"));
  runs.forEach((r, i) => {
    head.append(element("th", { scope: "col" }, r.name), element("th", { scope: "col" }, "95 % interval"));
    if (i > 0) head.append(element("th", { scope: "col" }, `${runs[0].name} against it`));
  });
  const body = element("tbody");
  if (runs.some((r) => r.classes.length)) scoreRows(body, titles, "");
  for (const of of ["valence", "arousal"]) scoreRows(body, affectTitles.map(([f, t]) => [f, `${of} ${t}`]), of);
  const what = runs.map((r) => `${r.name} is ${r.model}, evaluated on ${whole(r.images)} images of ${r.data}, ${r.split}` + (r.synthetic ? " (drawn faces, not photographs)" : "") + ".").join(" ");
  return [element("p", {}, what), element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), body)),
    element("p", { class: "soft" }, `Intervals: percentiles of ${whole(report.resamples)} bootstrap resamples of the images.`)];
}

function history() {
  const known = runs.filter((r) => r.history.length);
  if (!known.length) return "These weights came without the history of a training.";
  return [element("div", { class: "row" }, ...learningCurves(runs)),
  element("p", { class: "soft" }, known.map((r) => `${r.name}: the weights are those of epoch ${r.best_epoch} of ${r.history.length}.`).join(" "))];
}

function confusion() {
  if (!runs.some((r) => r.confusion.length)) return "There are no classes to be confused: the network answers valence and arousal alone.";
  return runs.filter((r) => r.confusion.length).map((r) => {
    const table = element("table", { class: "matrix" }, element("caption", {}, `${runs.length > 1 ? r.name + ". " : ""}Rows: what is on the picture. Columns: what the network says. Shade: share of the row.`));
    table.append(element("thead", {}, element("tr", {}, element("td", {}, ""), ...r.classes.map((c) => element("th", { scope: "col" }, c)))));
    const body = element("tbody");
    r.confusion.forEach((row, t) => {
      const sum = row.reduce((a, b) => a + b, 0);
      body.append(element("tr", {}, element("th", { scope: "row" }, r.classes[t]), ...row.map((n, p) => {
        const share = sum ? n / sum : 0;
        return element("td", { class: t === p ? "diagonal" : "", style: `background: rgba(var(--accent), ${(0.65 * share).toFixed(3)})`, title: `${r.classes[t]} called ${r.classes[p]}: ${percent(share)}` },
          String(n), element("br"), element("small", {}, percent(share)));
      })));
    });
    table.append(body);
    return element("div", { class: "scroll" }, table);
  });
}

function perClass() {
  if (!runs.some((r) => r.classes.length)) return "The network has no classes.";
  const bars = (figure, title) => chart(() => ({
    type: "bar",
    data: { labels: runs[0].classes, datasets: runs.map((r, i) => ({ label: r.name, backgroundColor: colour(i), data: runs[0].classes.map((c) => ((r.scores.per_class || {})[c] || {})[figure]?.value ?? null) })) },
    options: { scales: { y: unit(title) }, plugins: { legend: { display: runs.length > 1, position: "bottom" } } },
  }), title + " by class");
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...["class", ...runs.flatMap((r) => [named(runs.indexOf(r)) + "precision", "recall", "F1", "95 % interval of F1", "AUC-ROC", "AUC-PR"]), "images"].map((t) => element("th", { scope: "col" }, t)))));
  const body = element("tbody");
  runs[0].classes.forEach((c, k) => {
    const cells = runs.flatMap((r) => {
      const s = (r.scores.per_class || {})[c] || {};
      return [digits(s.precision?.value), digits(s.recall?.value), digits(s.f1?.value), interval(s.f1), digits(s.auc_roc?.value), digits(s.auc_pr?.value)];
    });
    const images = runs[0].confusion[k] ? runs[0].confusion[k].reduce((a, b) => a + b, 0) : 0;
    body.append(element("tr", {}, element("th", { scope: "row" }, c), ...[...cells, whole(images)].map((t) => element("td", {}, t))));
  });
  table.append(body);
  return [element("div", { class: "row three" }, bars("f1", "F1"), bars("precision", "Precision"), bars("recall", "Recall")), element("div", { class: "scroll" }, table)];
}

function rankCurves() {
  if (!runs.some((r) => r.curves.some((c) => c.roc.length))) return "No class has both pictures that are of it and pictures that are not, or there are no classes.";
  const panels = [];
  runs.forEach((r, i) => {
    const datasets = (which, legend) => r.curves.map((c, k) => ({ c, k })).filter(({ c }) => c[which].length).map(({ c, k }) => line(legend(k), c[which].map(([x, y]) => ({ x, y })), k, { borderDash: dashes[Math.floor(k / 2) % 4], stepped: which === "pr" }));
    const area = (k, figure) => `${r.classes[k]} ${digits(r.scores.per_class[r.classes[k]][figure].value, 3)}`;
    panels.push(chart(() => lines([...datasets("roc", (k) => area(k, "auc_roc")), line("chance", [{ x: 0, y: 0 }, { x: 1, y: 1 }], 7, { borderDash: [2, 4], borderWidth: 1 })], unit("false positive rate"), unit("recall")), named(i) + "ROC curves, with the areas below them", "square"));
    panels.push(chart(() => lines(datasets("pr", (k) => area(k, "auc_pr")), unit("recall"), unit("precision")), named(i) + "Precision-recall curves, with the areas below them", "square"));
  });
  return [element("div", { class: "row" }, ...panels)];
}

function calibration() {
  if (!runs.some((r) => r.reliability.length)) return "The network has no classes, so no probabilities either.";
  const points = (r) => r.reliability.filter((b) => b.count).map((b) => ({ x: b.confidence, y: b.accuracy }));
  return [element("p", {}, "Of all answers that the network is 70 % sure of, 70 % should be right: the dashed line. Below it the network is too sure of itself. ",
    runs.map((r, i) => `${named(i)}${runs.length > 1 ? "e" : "E"}xpected calibration error: ${digits(r.scores.ece?.value)}.`).join(" ")),
  element("div", { class: "row" },
    chart(() => lines([line("as it should be", [{ x: 0, y: 0 }, { x: 1, y: 1 }], 7, { borderDash: [6, 4], borderWidth: 1 }), ...runs.map((r, i) => line(r.name, points(r), i, { pointRadius: 4, pointStyle: markers[i] }))], unit("probability of the answer"), unit("share of right answers")), "Reliability diagram", "square"),
    chart(() => ({ type: "bar", data: { labels: runs[0].reliability.map((b) => digits((b.low + b.high) / 2, 2)), datasets: runs.map((r, i) => ({ label: r.name, data: r.reliability.map((b) => b.count), backgroundColor: colour(i) })) }, options: { scales: { x: { title: { display: true, text: "probability of the answer" } }, y: axis("images") }, plugins: { legend: { display: runs.length > 1, position: "bottom" } } } }), "How sure the network is", "square"))];
}

function affect() {
  const with_affect = runs.map((r, i) => ({ r, i })).filter(({ r }) => r.affect);
  if (!with_affect.length) return "The network has no outputs for valence and arousal (train with --va).";
  const scatter = (datasets, x, y) => ({ type: "scatter", data: { datasets }, options: { scales: { x: axis(x, { min: -1, max: 1 }), y: axis(y, { min: -1, max: 1 }) }, plugins: { legend: pointLegend() } } });
  const dots = (label, data, i) => ({ label, data, backgroundColor: colour(i) + "99", borderColor: colour(i), pointStyle: markers[i], pointRadius: 3 });
  const circle = { label: "all of the circumplex", data: Array.from({ length: 73 }, (_, k) => ({ x: Math.cos(k * Math.PI / 36), y: Math.sin(k * Math.PI / 36) })), showLine: true, pointRadius: 0, borderWidth: 1, borderDash: [4, 4] };
  return [element("div", { class: "row three" }, ...with_affect.flatMap(({ r, i }) => [
    ...["valence", "arousal"].map((of) => chart(() => scatter([dots(of, r.affect[of].map(([x, y]) => ({ x, y })), of === "valence" ? 0 : 1), line("as it should be", [{ x: -1, y: -1 }, { x: 1, y: 1 }], 7, { showLine: true, borderDash: [6, 4], borderWidth: 1 })], `true ${of}`, `predicted ${of}`), `${named(i)}${of}: predicted against true`, "square")),
    chart(() => scatter([dots("true", r.affect.circumplex.map(([a, b]) => ({ x: a, y: b })), 2), dots("predicted", r.affect.circumplex.map(([, , a, b]) => ({ x: a, y: b })), 1), { ...circle, borderColor: css("--soft") }], "valence: unpleasant to pleasant", "arousal: calm to excited"), named(i) + "Circumplex of affect (Russell, 1980)", "square"),
  ]))];
}

// A cloud of points to be turned: by dragging, by the arrow keys, or by itself.
function space(r, i) {
  const canvas = element("canvas", { class: "space", tabindex: "0", role: "img", "aria-label": `${named(i)}features in three dimensions; arrow keys turn it` });
  const centre = [0, 1, 2].map((d) => r.features.points3.reduce((sum, p) => sum + p[d], 0) / r.features.points3.length);
  const points = r.features.points3.map((p) => p.map((v, d) => v - centre[d]));
  const far = points.map((p) => Math.hypot(...p)).sort((a, b) => a - b);
  const most = far[Math.floor(0.98 * (far.length - 1))] || 1;  // a few far points do not make all others small
  let yaw = 0.6, pitch = 0.4, spin = null;
  const draw = () => {
    const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight, scale = 0.42 * Math.min(w, h) / most;
    canvas.width = w * ratio, canvas.height = h * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const seen = points.map(([x, y, z], k) => { const u = cy * x + sy * z, d = cy * z - sy * x; return [u, cp * y - sp * d, cp * d + sp * y, k]; });
    seen.sort((a, b) => a[2] - b[2]);
    for (const [u, v, d, k] of seen) {
      context.globalAlpha = Math.min(1, Math.max(0.3, 0.45 + 0.25 * (d / most + 1)));
      context.fillStyle = r.features.labels[k] < 0 ? css("--soft") : colour(r.features.labels[k]);
      context.beginPath();
      context.arc(w / 2 + scale * u, h / 2 - scale * v, Math.max(1.5, 2 + 0.75 * (d / most + 1)), 0, 7);
      context.fill();
    }
  };
  let from = null;
  canvas.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointermove", (e) => {
    if (!from) return;
    yaw += (e.clientX - from[0]) / 120, pitch += (e.clientY - from[1]) / 120, from = [e.clientX, e.clientY];
    draw();
  });
  canvas.addEventListener("keydown", (e) => {
    const turn = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[e.key];
    if (!turn) return;
    e.preventDefault();
    yaw += turn[0], pitch += turn[1];
    draw();
  });
  const button = element("button", { type: "button", "aria-pressed": "false" }, "turn");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!spin));
    if (spin) { clearInterval(spin); spin = null; } else spin = setInterval(() => { yaw += 0.02; draw(); }, 40);
  });
  new ResizeObserver(draw).observe(canvas);
  redraws.push(draw);
  return element("figure", {}, element("div", { class: "chart square" }, canvas), element("figcaption", {}, `${named(i)}t-SNE in three dimensions. `, button));
}

function features() {
  const known = runs.map((r, i) => ({ r, i })).filter(({ r }) => r.features);
  if (!known.length) return runs[0].features_left_out;
  return known.map(({ r, i }) => {
    const clouds = (key) => [...r.classes.keys(), -1].map((k) => ({ label: k < 0 ? "without a class" : r.classes[k], data: r.features[key].filter((_, n) => r.features.labels[n] === k).map(([x, y]) => ({ x, y })), backgroundColor: k < 0 ? css("--soft") : colour(k), borderColor: k < 0 ? css("--soft") : colour(k), pointStyle: k < 0 ? "circle" : markers[k % 8], pointRadius: 3 })).filter((d) => d.data.length);
    const flat = (key, title) => chart(() => ({ type: "scatter", data: { datasets: clouds(key) }, options: { scales: { x: { display: false }, y: { display: false } }, plugins: { legend: pointLegend() } } }), named(i) + title, "square");
    return element("div", {}, element("p", {}, r.features.text), element("div", { class: "row three" }, flat("points2", "t-SNE of the features before the last layer"), space(r, i), flat("pixels2", "t-SNE of the raw pixels: what the network started from")),
      element("ul", { class: "key" }, ...r.classes.map((c, k) => element("li", {}, element("span", { style: `background: ${colour(k)}` }), c))));
  });
}

const says = (p) => `true=${p.truth ?? "unknown"}, pred=${p.prediction}`;
function tiles(list, text, picture) {
  return element("ul", { class: picture ? "tiles pairs" : "tiles" }, ...list.map((p) => element("li", {}, picture ? picture(p) : element("img", { src: p.image, alt: `${p.id}: ${says(p)}`, loading: "lazy" }), ...text(p))));
}

function cams() {
  const known = runs.map((r, i) => ({ r, i })).filter(({ r }) => r.cams && r.cams.length);
  if (!known.length) return runs[0].cams_left_out;
  return [element("p", {}, "Warm places speak for the answer that the network gave (Grad-CAM, Selvaraju et al., 2017)."),
    ...known.map(({ r, i }) => element("div", {}, ...(runs.length > 1 ? [element("h3", {}, r.name)] : []), tiles(r.cams, (p) => [element("span", { class: p.truth === p.prediction ? "right" : "wrong" }, p.truth === p.prediction ? "right: " : "wrong: "), says(p), element("br"), element("span", { class: "soft" }, path(p.id))],
      (p) => element("div", { class: "pair" }, element("img", { src: p.image, alt: `${p.id}: ${says(p)}`, loading: "lazy" }), element("img", { src: p.overlay, alt: "where the network looked", loading: "lazy" })))))];
}

function worst() {
  const known = runs.map((r, i) => ({ r, i })).filter(({ r }) => r.worst.length);
  if (!known.length) return "There is no picture whose class is known and that was answered wrongly.";
  return [element("p", {}, "The pictures whose true class the network found least likely. Look whether the label is right before you blame the network."),
    ...known.map(({ r, i }) => element("div", {}, ...(runs.length > 1 ? [element("h3", {}, r.name)] : []), tiles(r.worst, (p) => [path(p.id), `: ${says(p)}`, element("br"), element("span", { class: "soft" }, `${percent(p.probability)} sure; ${percent(p.of_truth)} for the truth`)])))];
}

function sample() {
  const known = runs.filter((r) => r.sample.length);
  if (!known.length) return "There is no picture with a class.";
  return known.map((r) => element("div", {}, ...(runs.length > 1 ? [element("h3", {}, r.name)] : []), tiles(r.sample, (p) => [element("span", { class: p.truth === p.prediction ? "right" : "wrong" }, p.truth === p.prediction ? "right: " : "wrong: "), says(p), ` (${percent(p.probability)})`, element("br"), element("span", { class: "soft" }, path(p.id))])));
}

function distribution() {
  if (!runs[0].classes.length) return "The data has no classes.";
  const splits = Object.keys(runs[0].class_counts);
  return [element("div", { class: "row" }, chart(() => ({ type: "bar", data: { labels: runs[0].classes, datasets: splits.map((s, i) => ({ label: s, data: runs[0].class_counts[s], backgroundColor: colour(i) })) }, options: { scales: { y: axis("images") }, plugins: { legend: { position: "bottom" } } } }), `Images by class and split of ${runs[0].data}`))];
}

function facts(rows) {
  const table = element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, ""), ...runs.map((r) => element("th", { scope: "col" }, r.name)))));
  const body = element("tbody");
  for (const [title, value] of rows) {
    const values = runs.map((r) => value(r));
    if (values.every((v) => v === undefined || v === null)) continue;
    body.append(element("tr", {}, element("th", { scope: "row" }, title), ...values.map((v) => element("td", { class: "text" }, v === undefined || v === null ? "unknown" : String(v)))));
  }
  table.append(body);
  return [element("div", { class: "scroll" }, table)];
}

const network = () => facts([["network", (r) => r.model], ["input", (r) => `${r.network.size}×${r.network.size}×${r.network.channels}`], ["classes", (r) => r.classes.join(", ") || "none"],
  ["parameters", (r) => whole(r.network.parameters)], ["running statistics", (r) => whole(r.network.running_statistics)], ["weights in MB", (r) => (r.network.bytes / 1e6).toFixed(2)],
  ["multiplications for a picture, in millions", (r) => (r.network.macs / 1e6).toFixed(1)], ["head", (r) => r.network.head || "the network's own"]]);

function settings() {
  const keys = [...new Set(runs.flatMap((r) => Object.keys(r.settings || {})))];
  if (!keys.length) return "These weights came without settings of a training.";
  return facts(keys.map((k) => [k, (r) => { const v = (r.settings || {})[k]; return v === "" ? "-" : v; }]));
}

const device = () => facts([["training ran on", (r) => r.device?.name], ["its driver", (r) => r.device?.driver], ["version of VkFER", (r) => r.version],
  ["epochs", (r) => r.history.length || null], ["training in all", (r) => (r.history.length ? (r.history.reduce((a, h) => a + h.seconds, 0) / 60).toFixed(1) + " min" : null)],
  ["this report's device", (r) => r.evaluated_on], ["evaluating took", (r) => r.evaluation_seconds.toFixed(1) + " s"]]);

const sections = [["Summary", summary], ["Learning curves", history], ["Confusion matrix", confusion], ["Classes", perClass], ["ROC and precision-recall", rankCurves],
  ["Calibration", calibration], ["Valence and arousal", affect], ["Feature space", features], ["Grad-CAM", cams], ["Worst mistakes", worst], ["Test pictures", sample],
  ["Class distribution", distribution], ["Network", network], ["Settings", settings], ["Device and timing", device]];

document.title = `VkFER report: ${runs.map((r) => r.name).join(", ")}`;
document.getElementById("title").textContent = document.title;
document.getElementById("subtitle").textContent = `Written ${report.written} by VkFER ${report.version}.`;
for (const [title, make] of sections) {
  const id = title.toLowerCase().replace(/[^a-z]+/g, "-");
  document.getElementById("contents").append(element("li", {}, element("a", { href: "#" + id }, title)));
  const made = make();
  main.append(element("section", { id, "aria-label": title }, element("h2", {}, title), ...(typeof made === "string" ? [element("p", { class: "soft" }, made)] : made)));
}
document.getElementById("footer").textContent = "One file, complete: nothing is loaded from anywhere, nothing is sent anywhere. Charts: Chart.js (MIT).";
drawCharts();
