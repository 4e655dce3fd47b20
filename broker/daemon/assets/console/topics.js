// The topics with how much happens in them.

import { ask } from "./api.js";
import { Rows, byId, head, link, tableRow, tell, trouble } from "./elements.js";
import { ago, count, counted, rate } from "./formats.js";
import { Pages } from "./pages.js";
import { Poll, Rates } from "./poll.js";
import { hash } from "./tabs.js";

const COLUMNS = [
  { label: "Topic", className: "key" },
  { label: "Messages/s", className: "number" },
  { label: "Published", className: "number" },
  { label: "Kept", className: "number" },
  { label: "Subscriptions", className: "number" },
  { label: "Newest kept", className: "time" },
  { label: "Position", className: "position" },
  { label: "Action", className: "do" },
];

/** The list of topics. */
export class Topics {
  section = "topics";
  #filter = "";
  #rates = new Rates();
  #pages = new Pages("topics", "Topics", () => this.#poll.now());
  #rows = new Rows(byId("topics-table").tBodies[0], row);
  #poll = new Poll((signal) => this.#look(signal), ({ message }) => this.#failed(message));

  constructor() {
    head(byId("topics-table"), COLUMNS);
    byId("topics-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#filter = byId("topics-filter").value.trim();
      this.#pages.first();
      this.#poll.now();
    });
  }

  show() {
    this.#rates.forget();
    this.#poll.start();
  }

  hide() {
    this.#poll.stop();
  }

  async #look(signal) {
    const query = this.#pages.query;
    if (this.#filter !== "") query.set("filter", this.#filter);
    const { topics, more } = await ask(`v1/topics?${query}`, { signal });
    const rates = this.#rates.of(topics.map(({ topic, published }) => [topic, published]));
    trouble(byId("topics-trouble"));
    byId("topics-table").hidden = topics.length === 0;
    byId("topics-table").classList.remove("stale");
    this.#rows.show(topics.map((info) => ({ ...info, rate: rates.get(info.topic) })), ({ topic }) => topic);
    const which = this.#pages.came(topics.map(({ topic }) => topic), more);
    tell(byId("topics-note"), which || this.#sum(topics.length));
  }

  #sum(many) {
    if (many > 0) return `${counted(many, "topic")}.`;
    if (this.#filter !== "") return `No topic matches ${this.#filter}.`;
    return "No topics yet. A topic is there as soon as something is published to it.";
  }

  #failed(message) {
    trouble(byId("topics-trouble"), message);
    byId("topics-table").classList.add("stale");
  }
}

function row(topic) {
  const { row, cells } = tableRow(COLUMNS);
  const [name, speed, published, kept, subscriptions, newest, position, act] = cells;
  name.append(link(hash("topic", topic), topic));
  const follow = link(hash("live", topic), "Follow", "button quiet");
  follow.setAttribute("aria-label", `Follow ${topic}`);
  act.append(follow);
  return {
    row,
    update(info) {
      tell(speed, rate(info.rate));
      speed.classList.toggle("busy", info.rate > 0);
      tell(published, count(info.published));
      tell(kept, count(info.kept));
      tell(subscriptions, count(info.subscriptions));
      tell(newest, info.time === null ? "–" : ago(info.time));
      tell(position, info.position);
    },
  };
}
