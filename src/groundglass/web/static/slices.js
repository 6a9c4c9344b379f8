// Slices of one study: fetched outward from the one that is looked at, the oldest forgotten.

/** Most bytes of pixels kept; a tablet has room for it, 600 slices of 512 × 512 do not fit. */
const KEPT_BYTES = 256 * 2 ** 20;
const AT_ONCE = 3;
const AHEAD = 40;

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export class Slices extends EventTarget {
  #kept = new Map();
  #bytes = 0;
  #wanted = [];
  #under = new Set();
  #failed = new Set();

  constructor(job, count, { evidence }) {
    super();
    this.job = job;
    this.count = count;
    this.evidence = evidence;
  }

  get(number) { return this.#kept.get(number); }

  has(number) { return this.#kept.has(number); }

  /** Want a slice first, then its neighbours, alternately to both sides. */
  around(number) {
    const order = [number];
    for (let step = 1; step <= AHEAD; step += 1) order.push(number + step, number - step);
    const inside = (one) => one >= 1 && one <= this.count;
    this.#wanted = order.filter((one) => inside(one) && !this.#kept.has(one) && !this.#failed.has(one));
    const slice = this.#kept.get(number);
    if (slice) { this.#kept.delete(number); this.#kept.set(number, slice); }
    this.#next();
  }

  #next() {
    while (this.#under.size < AT_ONCE) {
      const number = this.#wanted.find((one) => !this.#under.has(one));
      if (number === undefined) return;
      this.#wanted = this.#wanted.filter((one) => one !== number);
      this.#under.add(number);
      this.#load(number)
        .catch(() => this.#failed.add(number))
        .finally(() => { this.#under.delete(number); this.#next(); });
    }
  }

  async #load(number) {
    const at = `/api/v1/studies/${this.job}/slices/${number}`;
    const reply = await fetch(`${at}/pixels`);
    if (!reply.ok) throw new Error(`slice ${number}: ${reply.status}`);
    const slice = {
      number,
      rows: Number(reply.headers.get("x-rows")),
      columns: Number(reply.headers.get("x-columns")),
      hu: new Int16Array(await reply.arrayBuffer()),
      complete: !this.evidence,
    };
    this.#keep(slice);
    if (this.evidence) await this.#overlay(at, slice);
  }

  async #overlay(at, slice) {
    const found = await (await fetch(`${at}/evidence`)).json();
    slice.outline = found.outline;
    if (found.heat) {
      slice.heat = await createImageBitmap(new Blob([bytesOf(found.heat)], { type: "image/png" }));
    }
    slice.complete = true;
    this.dispatchEvent(new Event("loaded"));
  }

  #keep(slice) {
    this.#kept.set(slice.number, slice);
    this.#bytes += slice.hu.byteLength;
    for (const [number, old] of this.#kept) {
      if (this.#bytes <= KEPT_BYTES) break;
      this.#kept.delete(number);
      this.#bytes -= old.hu.byteLength;
      old.heat?.close();
    }
    this.dispatchEvent(new Event("loaded"));
  }
}
