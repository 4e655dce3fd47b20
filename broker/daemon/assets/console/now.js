// How much the broker does at this moment.

import { element, tell } from "./elements.js";
import { bytes, count, latency, rate } from "./formats.js";
import { Rates } from "./poll.js";
import { Sparkline } from "./sparkline.js";

/** Figures that rise, of which the rise in a second is told. */
const RISING = {
  deliveries: "fanfare_deliveries_total",
  publishes: "fanfare_publishes_total",
  delivered: "fanfare_delivered_bytes_total",
  cpu: "process_cpu_seconds_total",
};

/** Each tile: its name, what it says of the rates, the figures and those before, and of which rate it draws a picture. */
const TILES = [
  { name: "Deliveries/s", text: ({ rates }) => rate(rates.get("deliveries")), picture: "deliveries" },
  { name: "Publishes/s", text: ({ rates }) => rate(rates.get("publishes")), picture: "publishes" },
  { name: "Written/s", text: ({ rates }) => known(rates.get("delivered"), bytes) },
  { name: "99 % delivered within", text: (both) => within(both, "fanfare_delivery_seconds") },
  { name: "99 % of HTTP publishes within", text: (both) => within(both, "fanfare_publish_seconds") },
  { name: "Sessions", text: ({ metrics }) => known(metrics.total("fanfare_sessions"), count) },
  { name: "Processor", text: ({ rates }) => known(rates.get("cpu"), (cores) => `${(100 * cores).toFixed(0)} %`) },
  { name: "Memory", text: ({ metrics }) => known(metrics.total("process_resident_memory_bytes"), bytes) },
];

/** The tiles. */
export class Now {
  #rates = new Rates();
  #before = null;
  #tiles;

  constructor(list) {
    this.#tiles = TILES.map((tile) => {
      const value = element("dd");
      const pair = element("div");
      pair.append(element("dt", "", tile.name), value);
      const picture = tile.picture && new Sparkline();
      if (picture) pair.append(picture.element);
      list.append(pair);
      return { tile, value, picture };
    });
  }

  show(metrics) {
    const figures = Object.entries(RISING).map(([key, name]) => [key, metrics.total(name) ?? 0]);
    const rates = this.#rates.of(figures);
    for (const { tile, value, picture } of this.#tiles) {
      tell(value, tile.text({ rates, metrics, before: this.#before }));
      picture?.add(rates.get(tile.picture));
    }
    this.#before = metrics;
  }

  /** Forgets what was before, so that nothing spans the time in which nobody looked. */
  forget() {
    this.#rates.forget();
    this.#before = null;
  }
}

function known(value, format) {
  return value === undefined || value === null ? "–" : format(value);
}

function within({ metrics, before }, name) {
  return before === null ? "–" : latency(metrics.within(name, 0.99, before));
}
