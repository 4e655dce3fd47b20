// A TCP proxy in front of a broker, which cuts.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** What browsers say on the console of connections that were cut. */
export const CUT = /ERR_(CONNECTION|SOCKET|INTERNET|NETWORK|FAILED|EMPTY)|WebSocket connection to .* failed|CORS policy/;

/** A proxy whose connections can be cut, and that can refuse new ones. */
export class Cutter {
  #pairs = new Set();
  #target;
  #isOpen = true;
  #server = createServer((client) => this.#pair(client));
  /** How many connections there were. */
  accepted = 0;
  /** How many were refused while it was closed. */
  refused = 0;

  /** One that passes everything on to `address`. */
  static async start(address) {
    const cutter = new Cutter();
    cutter.lead(address);
    cutter.#server.listen(0, "127.0.0.1");
    await once(cutter.#server, "listening");
    return cutter;
  }

  /** Where it listens: host and port. */
  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  get url() {
    return `http://${this.address}`;
  }

  get ws() {
    return `ws://${this.address}/v1/ws`;
  }

  /** New connections lead to this address from here on. */
  lead(address) {
    const [host, port] = address.split(":");
    this.#target = { host, port: Number(port) };
  }

  /** Cuts every connection, as a network does that fails: without a word. New ones are let in. */
  cut() {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.resetAndDestroy());
  }

  /** Lets nothing through any more of what comes over the connections that there are, and tells nobody. */
  mute() {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.unpipe().pause());
  }

  /** Cuts every connection, and new ones too, until `open`. */
  close() {
    this.#isOpen = false;
    this.cut();
  }

  open() {
    this.#isOpen = true;
  }

  #pair(client) {
    // Whatever breaks here is a cut, and cuts are what this is for.
    client.on("error", () => {});
    if (!this.#isOpen) {
      this.refused += 1;
      return client.resetAndDestroy();
    }
    this.accepted += 1;
    const broker = connect(this.#target);
    broker.on("error", () => {});
    const pair = [client, broker];
    this.#pairs.add(pair);
    for (const [from, to] of [[client, broker], [broker, client]]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }
}
