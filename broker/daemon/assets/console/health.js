// Whether the broker is ready, how much it does, how full it is, and which limits were hit.

import { ask, askText } from "./api.js";
import { byId, element, trouble } from "./elements.js";
import { Fill } from "./fill.js";
import { clock } from "./formats.js";
import { Limits } from "./limits.js";
import { Metrics } from "./metrics.js";
import { Now } from "./now.js";
import { Poll } from "./poll.js";

/** What `/readyz` and `/metrics` tell. */
export class Health {
  section = "health";
  #now = new Now(byId("now"));
  #fill = new Fill(byId("fill"));
  #limits = new Limits(byId("limits-table"), byId("limits-note"));
  #poll = new Poll((signal) => this.#look(signal), ({ message }) => this.#failed(message));

  show() {
    this.#now.forget();
    this.#limits.forget();
    this.#poll.start();
  }

  hide() {
    this.#poll.stop();
  }

  async #look(signal) {
    this.#tellReady(await readiness(signal));
    const metrics = new Metrics(await askText("metrics", { signal }));
    this.#now.show(metrics);
    this.#fill.show(metrics);
    this.#limits.show(metrics);
    trouble(byId("health-trouble"));
    byId("health").classList.remove("stale");
  }

  #tellReady({ state, word, why }) {
    const place = byId("ready");
    place.dataset.ready = state;
    if (place.textContent !== `${word} ${why}`) place.replaceChildren(element("strong", "", word), ` ${why}`);
  }

  #failed(message) {
    trouble(byId("health-trouble"), `${message} Asked at ${clock(Date.now())}; what stands below is older.`);
    byId("health").classList.add("stale");
    this.#tellReady({ state: "unknown", word: "Not known.", why: "" });
  }
}

async function readiness(signal) {
  try {
    const { backplane } = await ask("readyz", { signal });
    const on = backplane === "memory" ? "on its own, in memory" : `with ${backplane} as its backplane`;
    return { state: "yes", word: "Ready.", why: `The broker delivers, ${on}.` };
  } catch (problem) {
    if (problem.status !== 503) throw problem;
    return { state: "no", word: "Not ready.", why: sentence(problem.detail) };
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
