// Which limits were hit, and what else went wrong.

import { element, head, tableRow, tell } from "./elements.js";
import { clock, count, rate } from "./formats.js";
import { Rates } from "./poll.js";

const CLOSES = "fanfare_session_closes_total";
const SLOW = "4500";
const SILENT = "4501";

/** Each row: what happened, what it means, the figure, the label that parts it, and which values of it count. */
const ROWS = [
  {
    name: "Slow sessions closed",
    help: "Their outbox was full (limits.outbox_bytes, limits.outbox_items). They come back and resume.",
    figure: CLOSES,
    wanted: ({ code }) => code === SLOW,
  },
  {
    name: "Messages dropped",
    help: "For slow sessions whose policy is drop; a gap tells them.",
    figure: "fanfare_dropped_messages_total",
  },
  {
    name: "Messages replaced",
    help: "By newer ones, for slow sessions whose policy is latest.",
    figure: "fanfare_replaced_messages_total",
  },
  { name: "Gaps told", help: "Messages that somebody will not get.", figure: "fanfare_gaps_total", label: "cause" },
  {
    name: "Publishes refused",
    help: "By HTTP: no room came free in time, or something was wrong with them.",
    figure: "fanfare_refused_publishes_total",
  },
  { name: "Errors answered", help: "To requests over WebSocket.", figure: "fanfare_errors_total", label: "code" },
  {
    name: "Silent sessions closed",
    help: "Nothing was heard of them for two heartbeats.",
    figure: CLOSES,
    wanted: ({ code }) => code === SILENT,
  },
  {
    name: "Other sessions closed by the broker",
    help: "By close code.",
    figure: CLOSES,
    label: "code",
    wanted: ({ code }) => code !== SLOW && code !== SILENT,
  },
  {
    name: "Requests refused",
    help: "HTTP answers 4xx.",
    figure: "fanfare_http_requests_total",
    wanted: ({ status }) => status === "4xx",
  },
  {
    name: "Requests failed",
    help: "HTTP answers 5xx.",
    figure: "fanfare_http_requests_total",
    wanted: ({ status }) => status === "5xx",
  },
  {
    name: "Connections not accepted",
    help: "The system had no file descriptor or memory left.",
    figure: "fanfare_accept_errors_total",
  },
];

const COLUMNS = [
  { label: "What", className: "key" },
  { label: "Since its start", className: "number" },
  { label: "Since you look", className: "number" },
  { label: "Per second", className: "number" },
];

/** The table of what went wrong. */
export class Limits {
  #rates = new Rates();
  #begun = null;
  #rows;

  constructor(table, note) {
    this.note = note;
    head(table, COLUMNS);
    this.#rows = ROWS.map((told) => {
      const { row, cells: [what, total, since, speed] } = tableRow(COLUMNS);
      const parts = element("span", "note");
      what.append(element("span", "", told.name), element("span", "note", told.help), parts);
      table.tBodies[0].append(row);
      return { told, row, parts, total, since, speed };
    });
  }

  show(metrics) {
    const totals = this.#rows.map(({ told }) => [told.name, metrics.total(told.figure, told.wanted) ?? 0]);
    const fell = totals.some(([name, value]) => value < (this.#begun?.totals.get(name) ?? 0));
    if (this.#begun === null || fell) this.#begun = { totals: new Map(totals), at: Date.now() };
    const rates = this.#rates.of(totals);
    let isQuiet = true;
    for (const [index, { told, row, parts, total, since, speed }] of this.#rows.entries()) {
      const value = totals[index][1];
      const risen = value - this.#begun.totals.get(told.name);
      isQuiet &&= risen === 0;
      tell(total, count(value));
      tell(since, risen === 0 ? "0" : `+${count(risen)}`);
      tell(speed, rate(rates.get(told.name)));
      row.classList.toggle("hit", risen > 0);
      row.classList.toggle("none", value === 0);
      tell(parts, told.label && value > 0 ? breakdown(metrics, told) : "");
    }
    const since = clock(this.#begun.at);
    tell(this.note, isQuiet ? `Nothing of this happened since you look (${since}).` : `You look since ${since}.`);
  }

  /** Forgets the last figures, so that no rate spans the time in which nobody looked. */
  forget() {
    this.#rates.forget();
  }
}

/** What each value of the label comes to: "slow 3, trimmed 1". */
function breakdown(metrics, { figure, label, wanted = () => true }) {
  const parts = metrics.by(figure, label).filter(([told, value]) => value > 0 && wanted({ [label]: told }));
  return parts.map(([told, value]) => `${told} ${count(value)}`).join(", ");
}
