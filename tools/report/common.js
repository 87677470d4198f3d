"use strict";
// What the report and the served page share: colours, elements, charts. Loaded before either's own script; needs Chart.js.
const dark = matchMedia("(prefers-color-scheme: dark)");
// Okabe and Ito's palette, told apart with any kind of colour blindness; dash and marker say the same again.
const palette = () => ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", dark.matches ? "#f0e442" : "#8a7f00", dark.matches ? "#e8eaed" : "#1c1f23"];
const colour = (i) => palette()[i % 8];
const markers = ["circle", "triangle", "rect", "rectRot", "star", "cross", "crossRot", "dash"];
const dashes = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}
const digits = (v, n = 4) => (v === null || v === undefined ? "undefined" : v.toFixed(n));
const percent = (v) => (100 * v).toFixed(1) + "\u00a0%";
const whole = (v) => (v === null || v === undefined ? "unknown" : v.toLocaleString("en-US"));

// ---- charts: made anew when the colour scheme changes ---------------------------------------------------------------------------

const charts = [];
function chart(make, label, extra = "") {
  const canvas = element("canvas", { role: "img", "aria-label": label });
  const figure = element("figure", {}, element("div", { class: "chart " + extra }, canvas), element("figcaption", {}, label));
  charts.push({ canvas, make, chart: null });
  return figure;
}
function drawCharts() {
  Chart.defaults.color = css("--ink");
  Chart.defaults.borderColor = css("--line");
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.font.family = "system-ui, sans-serif";
  for (const c of charts) {
    if (c.chart) c.chart.destroy();
    c.chart = new Chart(c.canvas, c.make());
  }
  redraws.forEach((draw) => draw());
}
// With the data of now; the colours and the kind stay.
function updateCharts() {
  for (const c of charts) {
    c.chart.data = c.make().data;
    c.chart.update();
  }
}
function forgetCharts() {
  charts.forEach((c) => c.chart && c.chart.destroy());
  charts.length = 0;
}
const redraws = [];  // of canvases that are no charts
dark.addEventListener("change", drawCharts);
const axis = (text, more = {}) => ({ type: "linear", title: { display: true, text }, ...more });
// Legends show what the chart shows: lines as lines, with their dashes, and points as their markers.
const lineLegend = () => ({ position: "bottom", labels: { usePointStyle: true, boxHeight: 18,
  generateLabels: (c) => Chart.defaults.plugins.legend.labels.generateLabels(c).map((label) => ({ ...label, pointStyle: "line", lineWidth: 2, lineDash: c.data.datasets[label.datasetIndex].borderDash })) } });
const pointLegend = () => ({ position: "bottom", labels: { usePointStyle: true, boxHeight: 7 } });
const unit = (text) => axis(text, { min: 0, max: 1 });
function lines(datasets, x, y, more = {}) {
  return { type: "scatter", data: { datasets }, options: { showLine: true, scales: { x, y }, plugins: { legend: lineLegend() }, ...more } };
}
const line = (label, data, i, more = {}) => ({ label, data, borderColor: colour(i), backgroundColor: colour(i), borderWidth: 2, pointRadius: 0, ...more });

// ---- learning curves: of runs with a name and a history, a row an epoch ------------------------------------------------------------

const curvesDrawn = [
  ["Loss by epoch", "loss", [["train_loss", "training"], ["val_loss", "validation"]]],
  ["Accuracy by epoch", "accuracy", [["train_accuracy", "training"], ["val_accuracy", "validation"]], true],
  ["Macro F1 by epoch", "macro F1", [["train_f1", "training"], ["val_f1", "validation"]], true],
  ["CCC of valence and arousal by epoch", "CCC", [["val_valence_ccc", "valence"], ["val_arousal_ccc", "arousal"]]],
  ["Learning rate at the end of each epoch", "learning rate", [["learning_rate", "learning rate"]]],
];
const isKnown = (v) => v !== undefined && v !== null;

// Figures for those curves that any run has.
function learningCurves(runs) {
  const named = (r) => (runs.length > 1 ? r.name + ": " : "");
  return curvesDrawn.map(([title, y, members, fromZero]) => {
    const datasets = () => runs.flatMap((r, i) => members.filter(([key]) => r.history.some((h) => isKnown(h[key])))
      .map(([key, label], m) => line(named(r) + label, r.history.filter((h) => isKnown(h[key])).map((h) => ({ x: h.epoch, y: h[key] })), i * 2 + m,
        { borderDash: dashes[m], pointRadius: r.history.length < 30 ? 2 : 0, pointStyle: markers[i * 2 + m] })));
    return datasets().length ? chart(() => lines(datasets(), axis("epoch", { ticks: { precision: 0 } }), axis(y, fromZero ? { suggestedMin: 0 } : {})), title) : null;
  }).filter(Boolean);
}
