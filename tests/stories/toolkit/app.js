// An app on the SDK that writes down everything that it is told, in order.

import { WebSocket } from "ws";

import { surroundings } from "../../../clients/js/dist/client/surroundings.js";
import { connect } from "../../../clients/js/dist/index.js";
import { msgpack } from "../../../clients/js/dist/msgpack.js";
import { within } from "../../toolkit/watchdog.js";

/** Ways to the broker. */
export const WAYS = {
  json: { WebSocket, transports: ["websocket"] },
  msgpack: { WebSocket, transports: ["websocket"], codec: msgpack },
  sse: { transports: ["sse"] },
};

/** No waits but those that the broker asks for. */
const AT_ONCE = { ...surroundings(), chance: () => 0 };

/** A client, and what it said to its user: statuses, and by filter messages and notices. */
export class App {
  #epochs = [];
  #news = new Set();
  /** Everything that was told; a position's epoch is a letter, in order of appearance. */
  said = [];

  constructor(url, way, options = {}) {
    const onStatus = (status) => {
      this.status = status;
      this.#say(told(status));
    };
    this.client = connect(url, { around: AT_ONCE, onStatus, ...WAYS[way], ...options });
  }

  /** Follows a filter by callbacks. */
  follow(filter, options = {}) {
    const say = (event) => this.#say(`${filter} | ${this.event(event)}`);
    const end = (error) => this.#say(`${filter} | end${error ? ` ${error.code}` : ""}`);
    return this.client.subscribe(filter, options, { message: say, gap: say, live: say, end });
  }

  /** An event in a few words. */
  event({ kind, topic, position, data, from, to, count, cursor }) {
    if (kind === "message") return `${topic} ${this.place(position)} ${JSON.stringify(shown(data))}`;
    if (kind === "live") return `live ${this.place(cursor)}`;
    const many = count === undefined ? "" : ` (${count})`;
    return `gap${topic === undefined ? "" : ` ${topic}`} ${this.place(from)} to ${this.place(to)}${many}`;
  }

  /** A position, or a cursor of one partition, by the letter of its epoch. */
  place(position) {
    const [epoch, seq] = position.split(":");
    if (!this.#epochs.includes(epoch)) this.#epochs.push(epoch);
    return `${String.fromCharCode(65 + this.#epochs.indexOf(epoch))}${seq}`;
  }

  /** What was told of a filter. */
  of(filter) {
    return this.said.filter((line) => line.startsWith(`${filter} | `)).map((line) => line.slice(filter.length + 3));
  }

  /** Waits until a line was said so many times. */
  until(line, times = 1) {
    return this.untilIt(`${times} x ${line}`, () => this.said.filter((said) => said === line).length >= times);
  }

  /** Waits until something holds; it is asked whenever something is said. */
  async untilIt(what, holds) {
    let look;
    const came = new Promise((resolve) => {
      look = () => holds() && resolve();
      this.#news.add(look);
      look();
    });
    await within(what, came, () => `what was said: ${JSON.stringify(this.said.slice(-40), null, 1)}`);
    this.#news.delete(look);
  }

  stop() {
    this.client.close();
  }

  #say(line) {
    this.said.push(line);
    for (const look of this.#news) look();
  }
}

/** Large data are told by their beginning and length. */
function shown(data) {
  return typeof data === "string" && data.length > 99 ? `${data.slice(0, 9)} and ${data.length}` : data;
}

function told({ kind, code, reason }) {
  return [kind, code, kind === "connecting" ? undefined : reason].filter((part) => part !== undefined).join(" ");
}
