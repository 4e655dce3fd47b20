// A TCP proxy between a client and a broker, which fails in the ways in which networks do.

import { once } from "node:events";
import { connect, createServer } from "node:net";

import { within } from "./watchdog.js";

const NOTHING_HELD = { bytes: 0, ms: 0 };

/** A link whose connections can be cut, stalled, silenced and held back. `down` is the way from the broker. */
export class Link {
  #server = createServer((client) => this.#accept(client));
  #lanes = new Set();
  #target;
  #waiting = null;
  #isStalling = false;
  #isClosed = false;
  #cutAfter = { down: Infinity, up: Infinity };
  #buffers = { down: NOTHING_HELD, up: NOTHING_HELD };
  #watchers = new Set();
  #pairs = 0;
  /** How many connections there were. */
  accepted = 0;
  /** How many were refused while it was closed. */
  refused = 0;
  /** True once `cutAfter` has cut it. */
  isCut = false;
  /** The bytes that were passed on. */
  passed = { down: 0, up: 0 };
  /** Those of each connection, where they are wanted. */
  recorded = null;

  /** One that passes everything on to `address`. */
  static async start(address) {
    const link = new Link();
    link.#target = target(address);
    link.#server.listen(0, "127.0.0.1");
    await once(link.#server, "listening");
    return link;
  }

  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  get url() {
    return `http://${this.address}`;
  }

  /** Keeps the bytes that it passes on from here on, in pieces: `{ way, at, bytes }`. */
  record() {
    this.recorded = [];
  }

  /** Cuts every connection, without a word; new ones pass everything on. */
  cut() {
    this.#isStalling = false;
    for (const { from } of this.#lanes) reset(from);
  }

  /** Cuts every connection, and refuses new ones until `open`. */
  close() {
    this.#isClosed = true;
    this.cut();
  }

  open() {
    this.#isClosed = false;
  }

  /** Cuts every connection as soon as exactly so many bytes were passed on; a piece that goes beyond is cut in two. */
  cutAfter(way, bytes) {
    this.#cutAfter[way] = bytes;
  }

  /** New connections wait from here on, as behind a node that is being replaced. */
  hold() {
    this.#waiting ??= [];
  }

  /** New connections lead to this address, and so do those that wait. */
  lead(address) {
    this.#target = target(address);
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const client of waiting) this.#pair(client);
  }

  /** The connections that stand pass nothing any more, and do not end; new ones do. */
  silence() {
    for (const lane of this.#lanes) lane.isSilent = true;
  }

  /** Nothing more is read from the broker, over new connections too: what it writes piles up. */
  stall() {
    this.#isStalling = true;
    for (const lane of this.#lanes) this.#stall(lane);
  }

  /** Ends `stall`. */
  flow() {
    this.#isStalling = false;
    for (const lane of this.#lanes) {
      lane.isStalled = false;
      lane.from.resume();
    }
  }

  /** Bytes are held back until there are so many, or so long, as by proxies that buffer. */
  buffer(way, bytes, ms) {
    this.#buffers[way] = { bytes, ms };
  }

  /** Waits until something holds of this link; it is asked whenever anything happens on it. */
  async until(what, holds) {
    let look;
    const happened = new Promise((resolve) => {
      look = () => holds() && resolve();
      this.#watchers.add(look);
      look();
    });
    await within(what, happened);
    this.#watchers.delete(look);
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const client of this.#waiting ?? []) client.destroy();
    this.cut();
    await closed;
  }

  #happened() {
    for (const look of this.#watchers) look();
  }

  #accept(client) {
    // Whatever breaks here is a cut, and cuts are what this is for.
    client.on("error", () => {});
    if (this.#isClosed) {
      this.refused += 1;
      this.#happened();
      return client.resetAndDestroy();
    }
    this.accepted += 1;
    if (this.#waiting) this.#waiting.push(client);
    else this.#pair(client);
    this.#happened();
  }

  #pair(client) {
    const broker = connect(this.#target);
    broker.on("error", () => {});
    const pair = ++this.#pairs;
    this.#open({ way: "up", pair, from: client, to: broker });
    this.#open({ way: "down", pair, from: broker, to: client });
  }

  #stall(lane) {
    if (lane.way !== "down") return;
    lane.isStalled = true;
    lane.from.pause();
  }

  #open(lane) {
    const { from, to } = lane;
    Object.assign(lane, { held: [], timer: null, isSilent: false, isStalled: false });
    this.#lanes.add(lane);
    from.setNoDelay(true);
    from.on("data", (bytes) => this.#take(lane, bytes));
    if (this.#isStalling) this.#stall(lane);
    to.on("drain", () => lane.isStalled || from.resume());
    from.on("end", () => lane.isSilent || this.#flush(lane));
    from.on("close", () => {
      clearTimeout(lane.timer);
      this.#lanes.delete(lane);
      // Those of a silent link learn nothing of each other.
      if (!lane.isSilent) to.destroySoon();
      this.#happened();
    });
  }

  #take(lane, bytes) {
    if (lane.isSilent) return;
    const { bytes: most, ms } = this.#buffers[lane.way];
    lane.held.push(bytes);
    if (lane.held.reduce((sum, { length }) => sum + length, 0) >= most) this.#flush(lane);
    else lane.timer ??= setTimeout(() => this.#flush(lane), ms);
  }

  #flush(lane) {
    clearTimeout(lane.timer);
    lane.timer = null;
    const bytes = Buffer.concat(lane.held.splice(0));
    if (bytes.length && !lane.isSilent && lane.to.writable) this.#pass(lane, bytes);
  }

  #pass(lane, bytes) {
    const { way, from, to } = lane;
    const left = this.#cutAfter[way] - this.passed[way];
    const passed = bytes.subarray(0, left);
    this.passed[way] += passed.length;
    this.recorded?.push({ way, pair: lane.pair, at: performance.now(), bytes: passed });
    if (bytes.length >= left) {
      this.#cutAfter[way] = Infinity;
      this.isCut = true;
      // To who reads, exactly these bytes and an end; to all others, nothing but an end.
      to.end(passed);
      for (const other of this.#lanes) if (other.from !== to) reset(other.from);
    } else if (!to.write(passed)) from.pause();
    this.#happened();
  }
}

/** Cuts one. One that has said its end can't be reset: Node would hang at its own end. */
function reset(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function target(address) {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
}
