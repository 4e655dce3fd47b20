// One topic: its figures, what is kept of it, and what can be done with it.

import { ask, topicPath } from "./api.js";
import { confirm } from "./confirm.js";
import { Rows, byId, element, tell, trouble } from "./elements.js";
import { ago, count, counted, rate } from "./formats.js";
import { keyOf, rowOf } from "./messages.js";
import { Poll, Rates } from "./poll.js";
import { publishTo } from "./publish.js";
import { hash } from "./tabs.js";

const FRAMES = 20;
const FRAMES_MORE = 1_000;

/** The topic that is looked at. */
export class OneTopic {
  section = "one-topic";
  #topic = "";
  #limit = FRAMES;
  #rates = new Rates();
  #rows = new Rows(byId("one-topic-messages"), (key, frame) => ({ row: rowOf(frame) }));
  #figures = new Map();
  #poll = new Poll((signal) => this.#look(signal), ({ message }) => trouble(byId("one-topic-trouble"), message));

  constructor() {
    for (const name of ["Messages/s", "Published", "Kept", "Subscriptions", "Newest kept", "Position"]) {
      const value = element("dd");
      const pair = element("div");
      pair.append(element("dt", "", name), value);
      byId("one-topic-figures").append(pair);
      this.#figures.set(name, value);
    }
    byId("one-topic-clear").addEventListener("click", () => this.#clear());
    byId("one-topic-publish").addEventListener("click", () => {
      const topic = this.#topic;
      // What is hidden can't be given the focus.
      addEventListener("hashchange", () => publishTo(topic), { once: true });
      location.hash = hash("live");
    });
    byId("one-topic-more").addEventListener("click", () => {
      this.#limit = FRAMES_MORE;
      this.#poll.now();
    });
  }

  show(topic) {
    this.#topic = topic;
    this.#limit = FRAMES;
    this.#rates.forget();
    this.#rows.show([], keyOf);
    for (const value of this.#figures.values()) tell(value, "–");
    tell(byId("one-topic-name"), topic);
    tell(byId("one-topic-note"), "Asking …");
    tell(byId("one-topic-done"), "");
    trouble(byId("one-topic-trouble"));
    byId("one-topic-more").hidden = true;
    byId("one-topic-follow").href = hash("live", topic);
    this.#poll.start();
  }

  hide() {
    this.#poll.stop();
  }

  async #look(signal) {
    const path = topicPath(this.#topic);
    const query = new URLSearchParams({ filter: this.#topic, limit: 1 });
    const [{ topics: [info] }, { frames }] = await Promise.all([
      ask(`v1/topics?${query}`, { signal }),
      ask(`${path}/messages?limit=${this.#limit}`, { signal }),
    ]);
    trouble(byId("one-topic-trouble"));
    this.#showFigures(info);
    this.#rows.show(frames.reverse(), keyOf);
    const kept = info?.kept ?? 0;
    byId("one-topic-more").hidden = this.#limit === FRAMES_MORE || kept <= frames.length;
    tell(byId("one-topic-note"), this.#note(info, frames.length));
  }

  #showFigures(info) {
    if (info === undefined) {
      for (const value of this.#figures.values()) tell(value, "–");
      return;
    }
    const values = {
      "Messages/s": rate(this.#rates.of([[this.#topic, info.published]]).get(this.#topic)),
      Published: count(info.published),
      Kept: count(info.kept),
      Subscriptions: count(info.subscriptions),
      "Newest kept": info.time === null ? "–" : ago(info.time),
      Position: info.position,
    };
    for (const [name, value] of Object.entries(values)) tell(this.#figures.get(name), value);
  }

  #note(info, shown) {
    if (info === undefined) return "The broker does not know this topic: nobody published to it, or it is long ago.";
    if (shown === 0) return "Nothing is kept of it. Its positions go on.";
    return shown < info.kept ? `The newest ${count(shown)} of ${count(info.kept)} that are kept.` : "";
  }

  async #clear() {
    const topic = this.#topic;
    const what = `What is kept of ${topic} is forgotten. Who comes back to it is told that messages are missing.`;
    if (!(await confirm("Clear the history?", what, "Clear"))) return;
    try {
      const { cleared } = await ask(`${topicPath(topic)}/messages`, { method: "DELETE" });
      this.#poll.now();
      tell(byId("one-topic-done"), `${counted(cleared, "message")} cleared.`);
    } catch (problem) {
      trouble(byId("one-topic-trouble"), problem.message);
    }
  }
}
