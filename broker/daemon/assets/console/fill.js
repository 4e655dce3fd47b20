// How full the broker is, against the limits that it tells.

import { element, tell } from "./elements.js";
import { bytes, count } from "./formats.js";

/** Each bound: what fills up, the figure, the figure of its limit, and how both are written. */
const BOUNDS = [
  ["History of all topics", "fanfare_history_bytes", "fanfare_history_limit_bytes", bytes],
  ["Inboxes of the workers", "fanfare_inbox_bytes", "fanfare_inbox_limit_bytes", bytes],
  ["Outboxes of all sessions", "fanfare_outbox_bytes", "fanfare_outbox_limit_bytes", bytes],
  ["Publishes that wait for room", "fanfare_waiting_publishes", "fanfare_waiting_publishes_limit", count],
  ["Connections", "fanfare_connections", "fanfare_connections_limit", count],
  ["Subscriptions", "fanfare_subscriptions", "fanfare_subscriptions_limit", count],
  ["Topics", "fanfare_topics", "fanfare_topics_limit", count],
  ["Messages kept", "fanfare_history_messages", "fanfare_history_messages_limit", count],
];

/** The list of what fills up. */
export class Fill {
  #rows;

  constructor(list) {
    this.#rows = BOUNDS.map(([name, figure, limit, format]) => {
      const pair = element("div");
      const value = element("span");
      const meter = element("meter");
      const told = element("dd");
      meter.setAttribute("aria-label", name);
      meter.hidden = true;
      told.append(value, meter);
      pair.append(element("dt", "", name), told);
      list.append(pair);
      return { figure, limit, format, pair, value, meter };
    });
  }

  show(metrics) {
    for (const { figure, limit, format, pair, value, meter } of this.#rows) {
      const [is, most] = [metrics.total(figure), metrics.total(limit)];
      pair.hidden = is === undefined;
      if (is === undefined) continue;
      tell(value, most === undefined ? format(is) : `${format(is)} of ${format(most)}`);
      meter.hidden = most === undefined;
      if (most === undefined) continue;
      Object.assign(meter, { max: most, low: 0.7 * most, high: 0.9 * most, optimum: 0, value: is });
    }
  }
}
