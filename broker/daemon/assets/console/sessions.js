// Who is connected.

import { ask } from "./api.js";
import { confirm } from "./confirm.js";
import { Rows, button, byId, element, head, link, tableRow, tell, trouble } from "./elements.js";
import { bytes, count, counted, duration } from "./formats.js";
import { Pages } from "./pages.js";
import { Poll } from "./poll.js";
import { hash } from "./tabs.js";

const FILTERS_SHOWN = 5;
const COLUMNS = [
  { label: "Session", className: "key" },
  { label: "Protocol" },
  { label: "Open for", className: "number" },
  { label: "Subscriptions", className: "filters" },
  { label: "Outbox", className: "number" },
  { label: "Action", className: "do" },
];

/** The list of sessions. */
export class Sessions {
  section = "sessions";
  #own;
  #pages = new Pages("sessions", "Sessions", () => this.#poll.now());
  #rows = new Rows(byId("sessions-table").tBodies[0], (id) => this.#row(id));
  #poll = new Poll((signal) => this.#look(signal), ({ message }) => this.#failed(message));

  /** `own` tells the name of this page's session. */
  constructor(own) {
    this.#own = own;
    head(byId("sessions-table"), COLUMNS);
  }

  show() {
    tell(byId("sessions-done"), "");
    this.#poll.start();
  }

  hide() {
    this.#poll.stop();
  }

  async #look(signal) {
    const { sessions, more } = await ask(`v1/sessions?${this.#pages.query}`, { signal });
    trouble(byId("sessions-trouble"));
    byId("sessions-table").hidden = sessions.length === 0;
    byId("sessions-table").classList.remove("stale");
    this.#rows.show(sessions, ({ session }) => session);
    const which = this.#pages.came(sessions.map(({ session }) => session), more);
    const sum = sessions.length === 0 ? "Nobody is connected." : `${counted(sessions.length, "session")}.`;
    tell(byId("sessions-note"), which || sum);
  }

  #failed(message) {
    trouble(byId("sessions-trouble"), message);
    byId("sessions-table").classList.add("stale");
  }

  #row(id) {
    const { row, cells } = tableRow(COLUMNS);
    const [name, protocol, open, filters, outbox, act] = cells;
    const own = element("span", "badge", "this page");
    name.append(element("span", "", id), own);
    const end = button("Disconnect", "quiet danger", () => this.#disconnect(id));
    end.setAttribute("aria-label", `Disconnect session ${id}`);
    act.append(end);
    let shown = "";
    return {
      row,
      update: (info) => {
        own.hidden = id !== this.#own();
        tell(protocol, info.protocol.split(".").at(-1));
        tell(open, duration(info.open_ms));
        tell(outbox, info.outbox_items === 0 ? "empty" : waiting(info));
        outbox.classList.toggle("busy", info.outbox_items > 0);
        const list = JSON.stringify(info.subscriptions);
        if (list !== shown) showFilters(filters, info.subscriptions);
        shown = list;
      },
    };
  }

  async #disconnect(id) {
    const isOwn = id === this.#own();
    const whose = isOwn ? "This is the session of this very page." : "";
    const what = `${whose} It is closed with 4003, and its client does not come back by itself.`.trim();
    if (!(await confirm(`Disconnect session ${id}?`, what, "Disconnect"))) return;
    try {
      await ask(`v1/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (problem) {
      // One that has gone by itself is gone all the same.
      if (problem.status !== 404) return trouble(byId("sessions-trouble"), problem.message);
    }
    tell(byId("sessions-done"), `Session ${id} is disconnected.`);
    byId("sessions").querySelector("h2").focus();
    this.#poll.now();
  }
}

function waiting({ outbox_bytes: size, outbox_items: items }) {
  return `${bytes(size)}, ${counted(items, "item")}`;
}

function showFilters(cell, filters) {
  const item = (filter) => link(hash("live", filter), filter, "filter");
  const parts = filters.slice(0, FILTERS_SHOWN).map(item);
  const rest = filters.slice(FILTERS_SHOWN);
  if (filters.length === 0) parts.push(element("span", "note", "none"));
  if (rest.length > 0) {
    const more = element("details");
    const list = element("div", "filters");
    list.append(...rest.map(item));
    more.append(element("summary", "", `and ${count(rest.length)} more`), list);
    parts.push(more);
  }
  cell.replaceChildren(...parts);
}
