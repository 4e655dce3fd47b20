// A small picture of how a figure went lately. The figure itself stands beside it as text.

const SVG = "http://www.w3.org/2000/svg";
const POINTS = 60;
const [WIDTH, HEIGHT] = [120, 32];

/** The last two minutes of a rate. */
export class Sparkline {
  #values = [];
  #line = document.createElementNS(SVG, "polyline");
  element = document.createElementNS(SVG, "svg");

  constructor() {
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("class", "sparkline");
    this.element.setAttribute("aria-hidden", "true");
    this.element.append(this.#line);
  }

  /** Takes the newest value; null where none is known. */
  add(value) {
    if (value === null) return;
    this.#values.push(value);
    if (this.#values.length > POINTS) this.#values.shift();
    const most = Math.max(...this.#values, 1e-9);
    const skipped = POINTS - this.#values.length;
    const place = (value, index) => {
      const x = ((index + skipped) / (POINTS - 1)) * WIDTH;
      const y = HEIGHT - 1 - (value / most) * (HEIGHT - 3);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    };
    this.#line.setAttribute("points", this.#values.map(place).join(" "));
  }
}
