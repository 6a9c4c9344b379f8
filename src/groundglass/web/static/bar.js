// The scrollbar: what was judged, what was left out, where the evidence lies, what is viewed.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The slice at a height of the bar. */
export const slotAt = (bar, clientY, count) => {
  const box = bar.getBoundingClientRect();
  return Math.ceil(((clientY - box.top) / box.height) * count);
};

export const drawBar = (bar, { count, marks, viewed, slices, number }) => {
  const box = bar.getBoundingClientRect();
  const [width, height] = [box.width, box.height].map((px) => Math.round(px * devicePixelRatio));
  if (bar.width !== width || bar.height !== height) [bar.width, bar.height] = [width, height];
  const context = bar.getContext("2d");
  const step = height / count;
  context.clearRect(0, 0, width, height);
  for (let one = 1; one <= count; one += 1) {
    const mark = marks.get(one);
    const y = (one - 1) * step;
    context.fillStyle = mark?.judged ? css("--judged") : css("--out");
    context.fillRect(width * 0.3, y, width * 0.4, step + 0.5);
    if (slices.has(one)) {
      context.fillStyle = css("--loaded");
      context.fillRect(width * 0.78, y, width * 0.1, step + 0.5);
    }
    if (viewed.has(one)) {
      context.fillStyle = css("--strong");
      context.fillRect(width * 0.9, y, width * 0.1, step + 0.5);
    }
  }
  context.fillStyle = css("--warn");
  for (const mark of marks.values()) {
    if (mark.key) context.fillRect(0, (mark.number - 1) * step, width * 0.3, Math.max(step, 3 * devicePixelRatio));
  }
  context.strokeStyle = css("--strong");
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeRect(1, (number - 1) * step - 1, width - 2, Math.max(step, 4 * devicePixelRatio) + 2);
};
