// Slices on a 2-D canvas: 16-bit HU from the node, windowed here. No WebGL.
import { Slices } from "./slices.js";
import { drawBar, slotAt } from "./bar.js";

const PRESETS = { 1: [1500, -600], 2: [400, 40], 3: [2000, 400] };
const byId = (id) => document.getElementById(id);
const [stage, picture, preview, bar] = ["viewer", "picture", "preview", "bar"].map(byId);
const [where, quality, windowed, under] = ["where", "quality", "window", "under"].map(byId);
const [slider, preset, sheet] = ["slider", "preset", "sheet"].map(byId);
const [showOutline, showHeat] = ["show-outline", "show-heat"].map(byId);
const blind = stage.dataset.blind === "yes";
const job = stage.dataset.job;

const reply = await fetch(`/api/v1/studies/${job}`);
const { view } = await reply.json();
const count = view.shape[0];
const marks = new Map(view.slices.map((mark) => [mark.number, mark]));
const slices = new Slices(job, count, { evidence: !blind });
const viewed = new Set();
const image = document.createElement("canvas");
const state = { number: view.first, width: 1500, level: -600, zoom: 1, x: 0, y: 0, invert: false };
let drawn = "";
let waiting = false;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// HU to grey through a table: the window is looked up, not computed, for each pixel.
const greys = new Uint32Array(65536);
let greysFor = "";
const tabulate = () => {
  const { width, level, invert } = state;
  const name = `${width} ${level} ${invert}`;
  if (name === greysFor) return;
  for (let hu = -32768; hu < 32768; hu += 1) {
    const share = Math.min(1, Math.max(0, (hu - level) / width + 0.5));
    const grey = Math.round(255 * (invert ? 1 - share : share));
    greys[hu & 0xffff] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  greysFor = name;
};

const paint = (slice) => {
  tabulate();
  const name = `${slice.number} ${greysFor}`;
  if (name === drawn) return;
  image.width = slice.columns;
  image.height = slice.rows;
  const context = image.getContext("2d");
  const pixels = context.createImageData(slice.columns, slice.rows);
  const target = new Uint32Array(pixels.data.buffer);
  const { hu } = slice;
  for (let i = 0; i < target.length; i += 1) target[i] = greys[hu[i] & 0xffff];
  context.putImageData(pixels, 0, 0);
  drawn = name;
};

// Where the slice lies on the canvas, in device pixels: as large as fits, pixels as in the patient.
const layout = (rows, columns) => {
  const [, rowMm, columnMm] = view.spacing_mm;
  const [width, height] = [columns * columnMm, rows * rowMm];
  const scale = Math.min(picture.width / width, picture.height / height) * state.zoom;
  return {
    x: (picture.width - width * scale) / 2 + state.x,
    y: (picture.height - height * scale) / 2 + state.y,
    sx: columnMm * scale,
    sy: rowMm * scale,
  };
};

const lay = (context, slice, place) => {
  if (showHeat.checked && slice.heat) {
    context.imageSmoothingEnabled = true;
    context.drawImage(slice.heat, place.x, place.y, slice.columns * place.sx, slice.rows * place.sy);
  }
  if (!showOutline.checked) return;
  context.strokeStyle = css("--lung");
  context.lineWidth = Math.max(1, devicePixelRatio);
  context.beginPath();
  for (const line of slice.outline ?? []) {
    for (let i = 0; i < line.length; i += 2) {
      const [x, y] = [place.x + line[i] * place.sx, place.y + line[i + 1] * place.sy];
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
    context.closePath();
  }
  context.stroke();
};

const draw = () => {
  waiting = false;
  const box = stage.getBoundingClientRect();
  const [width, height] = [box.width, box.height].map((px) => Math.round(px * devicePixelRatio));
  if (picture.width !== width || picture.height !== height) [picture.width, picture.height] = [width, height];
  const slice = slices.get(state.number);
  const mark = marks.get(state.number);
  where.textContent = `Slice ${state.number} of ${count}${mark ? ` · ${mark.words}` : ""}`
    + `${mark?.score != null ? ` · score ${mark.score.toFixed(3)}` : ""}`;
  windowed.textContent = `W ${Math.round(state.width)} L ${Math.round(state.level)}`.replace("-", "−");
  quality.textContent = slice ? (slice.complete ? "final" : "final; evidence loading") : preview.hidden ? "loading" : "preview";
  stage.dataset.shown = slice ? String(state.number) : "";
  stage.dataset.final = slice?.complete ? "yes" : "";
  slider.value = String(state.number);
  drawBar(bar, { count, marks, viewed, slices, number: state.number });
  if (!slice) return;
  preview.hidden = true;
  viewed.add(state.number);
  paint(slice);
  const context = picture.getContext("2d");
  context.clearRect(0, 0, picture.width, picture.height);
  const place = layout(slice.rows, slice.columns);
  context.imageSmoothingEnabled = place.sx < 3;
  context.drawImage(image, place.x, place.y, slice.columns * place.sx, slice.rows * place.sy);
  lay(context, slice, place);
};
const redraw = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
};

const show = (number) => {
  state.number = Math.max(1, Math.min(count, number));
  slices.around(state.number);
  redraw();
};
const choose = (name) => {
  [state.width, state.level] = PRESETS[name];
  preset.value = name;
  redraw();
};
const zoom = (factor) => {
  state.zoom = Math.max(0.5, Math.min(16, state.zoom * factor));
  redraw();
};
const reset = () => {
  Object.assign(state, { zoom: 1, x: 0, y: 0, invert: false });
  choose("1");
};
const evidence = [...marks.values()].filter((mark) => mark.key).map((mark) => mark.number);
const nextEvidence = () => {
  if (evidence.length) show(evidence.find((number) => number > state.number) ?? evidence[0]);
};
const toggle = (box) => { if (!box.disabled) { box.checked = !box.checked; redraw(); } };
const keySheet = () => { sheet.hidden = !sheet.hidden; };

const KEYS = {
  ArrowUp: () => show(state.number - 1),
  ArrowDown: () => show(state.number + 1),
  PageUp: () => show(state.number - 10),
  PageDown: () => show(state.number + 10),
  Home: () => show(1),
  End: () => show(count),
  e: nextEvidence,
  l: () => toggle(showOutline),
  h: () => toggle(showHeat),
  1: () => choose("1"),
  2: () => choose("2"),
  3: () => choose("3"),
  i: () => { state.invert = !state.invert; redraw(); },
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  0: reset,
  "?": keySheet,
  Escape: () => { sheet.hidden = true; },
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input:not([type=checkbox],[type=range]), textarea, select")) return;
  const act = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

let travelled = 0; // touchpads send many small steps
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.ctrlKey) { zoom(event.deltaY < 0 ? 1.1 : 0.9); return; }
  travelled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
  const steps = Math.trunc(travelled);
  travelled -= steps;
  if (steps) show(state.number + Math.max(-3, Math.min(3, steps)));
}, { passive: false });

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  stage.setPointerCapture(event.pointerId);
  const move = (to) => {
    if (to.shiftKey) {
      state.x += to.movementX * devicePixelRatio;
      state.y += to.movementY * devicePixelRatio;
    } else {
      state.width = Math.max(1, state.width + to.movementX * 4);
      state.level -= to.movementY * 2;
      preset.value = "0";
    }
    redraw();
  };
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", () => stage.removeEventListener("pointermove", move), { once: true });
});
stage.addEventListener("pointermove", (event) => {
  const slice = slices.get(state.number);
  if (!slice) return;
  const box = stage.getBoundingClientRect();
  const place = layout(slice.rows, slice.columns);
  const column = Math.floor(((event.clientX - box.left) * devicePixelRatio - place.x) / place.sx);
  const row = Math.floor(((event.clientY - box.top) * devicePixelRatio - place.y) / place.sy);
  const inside = column >= 0 && row >= 0 && column < slice.columns && row < slice.rows;
  under.textContent = inside ? `${slice.hu[row * slice.columns + column]} HU`.replace("-", "−") : "";
});

bar.addEventListener("pointerdown", (event) => {
  bar.setPointerCapture(event.pointerId);
  const go = (to) => show(slotAt(bar, to.clientY, count));
  go(event);
  bar.addEventListener("pointermove", go);
  bar.addEventListener("pointerup", () => bar.removeEventListener("pointermove", go), { once: true });
});
slider.addEventListener("input", () => show(Number(slider.value)));
preset.addEventListener("change", () => { if (preset.value !== "0") choose(preset.value); });
showOutline.addEventListener("change", redraw);
showHeat.addEventListener("change", redraw);
byId("keys").addEventListener("click", keySheet);
slices.addEventListener("loaded", redraw);
new ResizeObserver(redraw).observe(stage);
show(view.first);
stage.focus({ preventScroll: true });
