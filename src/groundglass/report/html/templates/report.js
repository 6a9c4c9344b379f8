"use strict";
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const byId = (id) => document.getElementById(id);
  const [slider, image, heat, outline] = ["slider", "v-image", "v-heat", "v-outline"].map(byId);
  const [note, marker, stage] = ["v-note", "marker", "stage"].map(byId);
  const showHeat = byId("show-heat");
  const showOutline = byId("show-outline");
  const showOpacity = byId("show-opacity");
  const opacity = byId("v-opacity");
  const last = study.slices.length - 1;
  const decoded = new Map();
  let current = -1;

  // Decoded pictures are kept, so that leafing through does not flicker.
  const decode = (uri) => {
    if (!decoded.has(uri)) {
      const picture = new Image();
      picture.src = uri;
      decoded.set(uri, picture.decode().catch(() => undefined));
    }
    return decoded.get(uri);
  };

  const draw = (slice) => {
    image.setAttribute("href", slice.image);
    heat.setAttribute("href", slice.heat);
    heat.classList.toggle("off", !slice.heat || !showHeat.checked);
    opacity.setAttribute("href", slice.opacity);
    opacity.classList.toggle("off", !slice.opacity || !showOpacity.checked);
    outline.setAttribute("d", slice.outline);
    outline.classList.toggle("off", !showOutline.checked);
    byId("v-noheat").classList.toggle("off", Boolean(slice.heat) || !study.hasHeat);
    marker.setAttribute("y", slice.y);
    marker.setAttribute("height", slice.height);
    note.textContent = slice.text;
    slider.setAttribute("aria-valuetext", slice.text);
    stage.dataset.shown = String(slice.number);
  };

  const show = async (index) => {
    const target = Math.max(0, Math.min(last, index));
    if (target === current) return;
    current = target;
    slider.value = String(target + 1);
    const slice = study.slices[target];
    await decode(slice.image);
    if (slice.heat) await decode(slice.heat);
    if (slice.opacity && showOpacity.checked) await decode(slice.opacity);
    if (target !== current) return;
    draw(slice);
    for (const near of [target + 1, target - 1]) {
      if (study.slices[near]) decode(study.slices[near].image);
    }
  };

  const redraw = () => draw(study.slices[current]);
  const moves = {
    ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1,
    PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity,
  };

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (event.key in moves) show(current + moves[event.key]);
    else if (key === "h") showHeat.click();
    else if (key === "l") showOutline.click();
    else if (key === "o") showOpacity.click();
    else return;
    event.preventDefault();
  });
  let travelled = 0; // touchpads send many small steps
  byId("viewer").addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    event.preventDefault();
    travelled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(travelled);
    travelled -= steps;
    if (steps) show(current + Math.max(-3, Math.min(3, steps)));
  }, { passive: false });
  slider.addEventListener("input", () => show(Number(slider.value) - 1));
  showHeat.addEventListener("change", redraw);
  showOutline.addEventListener("change", redraw);
  showOpacity.addEventListener("change", redraw);

  for (const opener of document.querySelectorAll("[data-slice]")) {
    opener.addEventListener("click", () => {
      show(Number(opener.dataset.slice) - 1);
      byId("explore").scrollIntoView({ block: "start" });
      slider.focus({ preventScroll: true });
    });
  }
  const map = byId("overview");
  map.addEventListener("click", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    const y = point.matrixTransform(byId("plot").getScreenCTM().inverse()).y;
    show(study.slices.findIndex((slice) => y < slice.y + slice.height));
  });

  byId("explore").classList.remove("unscripted");
  show(study.first);
})();
