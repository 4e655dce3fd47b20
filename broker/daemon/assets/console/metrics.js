// The figures of `/metrics`, read from their text.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** All figures of one moment. */
export class Metrics {
  #samples = new Map();

  constructor(text) {
    for (const line of text.split("\n")) {
      const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
      if (name === undefined) continue;
      const sample = { labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, told]) => [key, told])) };
      sample.value = Number(value === "+Inf" ? Infinity : value);
      if (!this.#samples.has(name)) this.#samples.set(name, []);
      this.#samples.get(name).push(sample);
    }
  }

  /** The sum over the labels that `wanted` lets through; undefined if there is no such figure. */
  total(name, wanted = () => true) {
    const samples = this.#samples.get(name);
    return samples?.filter(({ labels }) => wanted(labels)).reduce((sum, { value }) => sum + value, 0);
  }

  /** What each value of a label comes to. */
  by(name, label) {
    return (this.#samples.get(name) ?? []).map(({ labels, value }) => [labels[label], value]);
  }

  /** The time within which this share of what happened since `before` was done; null if nothing happened. */
  within(name, share, before) {
    const counts = new Map(before.#buckets(name));
    const risen = this.#buckets(name).map(([bound, value]) => [bound, value - (counts.get(bound) ?? 0)]);
    const all = risen.at(-1)?.[1] ?? 0;
    return all > 0 ? risen.find(([, value]) => value >= share * all)[0] : null;
  }

  #buckets(name) {
    return this.by(`${name}_bucket`, "le").map(([bound, value]) => [bound === "+Inf" ? Infinity : Number(bound), value]);
  }
}
