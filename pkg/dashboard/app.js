"use strict";

// The table of runs shows what has changed, without losing what is chosen.
function followRuns() {
  const table = document.getElementById("runs");
  if (!table) return;
  let waiting = false;
  const events = new EventSource("/events");
  events.onmessage = async (event) => {
    if (event.data === table.dataset.version || waiting) return;
    waiting = true;
    try {
      const answer = await fetch(location.href);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("runs");
      if (!fresh) return;
      const chosen = new Set(Array.from(table.querySelectorAll("input:checked"), (box) => box.value));
      const focused = document.activeElement && table.contains(document.activeElement) ? document.activeElement.value : null;
      for (const box of fresh.querySelectorAll('input[type="checkbox"]')) box.checked = chosen.has(box.value);
      table.replaceChildren(...fresh.childNodes);
      table.dataset.version = fresh.dataset.version;
      if (focused) table.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
    } finally {
      setTimeout(() => { waiting = false; }, 1000);
    }
  };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// hue is the colour of a run among several: told apart by lightness too.
function hue(i, count) {
  if (count === 1) return colour("--a");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return `hsl(${Math.round((i * 137.5) % 360)} 65% ${(dark ? 62 : 38) + (i % 3) * 6}%)`;
}

// smoothed is an exponential moving average, corrected for its start, that passes over gaps.
function smoothed(values, weight) {
  if (weight === 0) return values;
  let sum = 0, mass = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

// plots of the page's runs: one for each curve that any of them has.
class Plots {
  constructor(section) {
    this.section = section;
    this.runs = [];
    const count = Number(section.dataset.count || 0);
    for (let i = 0; i < count; i++) this.runs.push({ address: section.getAttribute(`data-run-${i}`), name: section.getAttribute(`data-name-${i}`) });
    if (section.dataset.curves) this.runs.push({ address: section.dataset.curves, name: "" });
    this.charts = new Map();
    for (const id of ["axis", "log", "smooth"]) document.getElementById(id)?.addEventListener("input", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.resize()).observe(section);
  }

  async load() {
    const box = this.section.querySelector(".charts");
    try {
      await Promise.all(this.runs.map(async (run) => {
        const answer = await fetch(run.address);
        if (answer.ok) run.curves = await answer.json();
      }));
      this.draw();
    } catch (error) {
      box.textContent = `The curves cannot be drawn: ${error.message}`;
    }
  }

  names() {
    const names = new Set();
    for (const run of this.runs) for (const name of Object.keys(run.curves?.epochs || {})) names.add(name);
    const first = ["epoch/train_loss", "validation/loss", "validation/psnr"];
    return [...names].sort((a, b) => (first.indexOf(a) + 1 || 9) - (first.indexOf(b) + 1 || 9) || a.localeCompare(b));
  }

  draw() {
    const box = this.section.querySelector(".charts");
    for (const plot of this.charts.values()) plot.destroy();
    this.charts.clear();
    box.replaceChildren();
    const axis = document.getElementById("axis").value, log = document.getElementById("log").checked;
    const weight = Number(document.getElementById("smooth").value);
    for (const name of this.names()) {
      const shown = this.runs.filter((run) => run.curves?.epochs[name]);
      const figure = document.createElement("figure"), title = document.createElement("h3");
      title.textContent = name;
      figure.append(title);
      box.append(figure);
      const data = uPlot.join(shown.map((run) => [run.curves[axis], smoothed(run.curves.epochs[name], weight)]));
      const line = (run) => ({ label: run.name || name, stroke: hue(this.runs.indexOf(run), this.runs.length), width: 1.5, spanGaps: true,
        points: { show: data[0].length < 40, size: 4 }, value: (_, value) => value === null ? "" : Number(value).toPrecision(5) });
      const positive = log && name.includes("loss") && data.slice(1).every((values) => values.every((value) => value == null || value > 0));
      const plot = new uPlot({
        width: figure.clientWidth - 20, height: 240,
        scales: { x: { time: false }, y: { distr: positive ? 3 : 1 } },
        axes: [0, 1].map(() => ({ stroke: colour("--soft"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule"), width: 1 } })),
        legend: { show: shown.length <= 12 },
        series: [{ label: axis === "steps" ? "step" : "s" }, ...shown.map(line)],
      }, data, figure);
      this.charts.set(name, plot);
    }
  }

  resize() {
    for (const plot of this.charts.values()) {
      const width = plot.root.parentElement.clientWidth - 20;
      if (Math.abs(width - plot.width) > 4) plot.setSize({ width, height: 240 });
    }
  }
}

function showCurves() {
  const section = document.getElementById("curves");
  if (!section) return;
  const plots = new Plots(section);
  plots.load();
  if (section.dataset.live) {
    let state = Date.now();
    const events = new EventSource("/events");
    events.onmessage = () => {
      if (Date.now() - state < 1000) return;
      state = Date.now();
      plots.load();
    };
  }
}

// The slider shows the reconstructions of an epoch.
function showSamples() {
  const slider = document.getElementById("epoch");
  if (!slider) return;
  const samples = Array.from(document.querySelectorAll("#samples li")), picture = document.getElementById("sample"), shown = document.getElementById("shown");
  const show = () => {
    const sample = samples[Number(slider.value)];
    picture.src = sample.dataset.src;
    shown.textContent = sample.textContent;
  };
  slider.addEventListener("input", show);
  show();
}

followRuns();
showCurves();
showSamples();
