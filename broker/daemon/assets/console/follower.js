// One connection to the broker and the filter that is followed over it, as any client may. It keeps the cursor of what
// it saw, and so misses nothing over a cut, or says what is missing.

import { seconds } from "./formats.js";

const LAST = 10;
const WAIT_MS_MAX = 15_000;
/** A connection that lasted for so long from its welcome on was a good one: the next wait is a short one again. */
const STEADY_MS = 2_000;

/** The connection and what is followed over it. */
export class Follower {
  #socket = null;
  #ids = 0;
  #tries = 0;
  #heartbeatMs = 25_000;
  #reconnectAfterMs = null;
  #silence = null;
  #wait = null;
  #retry = null;
  #welcomedAt = null;
  #session = null;
  #filter = null;
  #cursor = null;
  #subscribeId = null;
  #subscribed = false;
  #live = false;

  /** The view is told of `state`, `following`, `arrived`, `notice`, `trouble` and `ended`. */
  constructor(view) {
    this.view = view;
  }

  connect() {
    clearTimeout(this.#wait);
    this.#drop();
    this.#reconnectAfterMs = null;
    this.view.state("connecting", "connecting");
    const url = new URL("v1/ws", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const socket = new WebSocket(url, "fanfare.v1.json");
    this.#socket = socket;
    // What an abandoned socket still says is nobody's.
    const own = (listen) => (event) => { if (socket === this.#socket) listen(event); };
    socket.addEventListener("message", own(({ data }) => this.#receive(JSON.parse(data))));
    socket.addEventListener("close", own(({ code, reason }) => this.#closed(code, reason)));
    this.#heard();
  }

  /** Follows a filter in place of the one before; null follows nothing. */
  follow(filter) {
    const before = this.#filter;
    clearTimeout(this.#retry);
    if (before !== null && this.#subscribeId !== null) this.#send("unsubscribe", ++this.#ids, before);
    this.#filter = filter;
    this.#cursor = null;
    this.#subscribeId = null;
    this.#subscribed = false;
    this.#live = false;
    if (this.#welcomedAt !== null && filter !== null) this.#subscribe();
  }

  /** The name of this page's own session; null while there is none. */
  get session() {
    return this.#session;
  }

  #subscribe() {
    clearTimeout(this.#retry);
    this.#subscribeId = ++this.#ids;
    this.#subscribed = false;
    this.#live = false;
    const options = this.#cursor === null ? { last: LAST } : { after: this.#cursor };
    this.#send("subscribe", this.#subscribeId, this.#filter, options);
  }

  #receive(frame) {
    this.#heard();
    const [kind, ...parts] = frame;
    switch (kind) {
      case "welcome": return this.#welcome(parts[1]);
      case "ok": return this.#ok(...parts);
      case "error": return this.#error(...parts);
      case "message":
      case "gap": return this.#subscribed && this.#arrived(frame);
      case "replay": return this.#subscribed && parts[0] === this.#filter && this.#arrived(parts[1]);
      case "live": return this.#caughtUp(...parts);
      case "ping": return this.#ping(parts[0]);
      case "unsubscribed": return this.#ended(...parts);
      case "goodbye": return this.#goodbye(...parts);
    }
  }

  #welcome({ session, heartbeat_ms: heartbeatMs }) {
    this.#session = session;
    this.#welcomedAt = performance.now();
    this.#heartbeatMs = heartbeatMs ?? this.#heartbeatMs;
    this.view.state("open", "connected");
    if (this.#filter !== null) this.#subscribe();
  }

  #ok(id, { cursor, resumed } = {}) {
    if (id !== this.#subscribeId) return;
    this.#subscribed = true;
    // Without a cursor the newest messages were asked for: the first of them sets it.
    if (this.#cursor !== null) this.#cursor = cursor ?? this.#cursor;
    this.view.following(this.#filter, resumed);
  }

  #error(id, code, reason, { retry_after_ms: retryAfterMs } = {}) {
    if (id === null) return this.view.trouble(`${code}: ${reason}`);
    if (id !== this.#subscribeId) return;
    this.#subscribeId = null;
    if (code === "bad_cursor" && this.#cursor !== null) {
      this.#cursor = null;
      this.view.notice("What was missed can't be told: the broker does not know this page's place any more.");
      return this.#subscribe();
    }
    this.#ended(this.#filter, code, reason, { retry_after_ms: retryAfterMs });
  }

  #ended(filter, code, reason, { retry_after_ms: retryAfterMs } = {}) {
    if (filter !== this.#filter) return;
    this.#subscribeId = null;
    this.#subscribed = false;
    const again = retryAfterMs === undefined ? "" : `; trying again in ${seconds(retryAfterMs)}`;
    this.view.trouble(`${filter} is not followed: ${reason} (${code})${again}`);
    if (retryAfterMs === undefined) {
      this.#filter = null;
      this.view.ended();
    } else {
      const socket = this.#socket;
      this.#retry = setTimeout(() => socket === this.#socket && this.#subscribe(), retryAfterMs);
    }
  }

  #arrived(frame) {
    const [kind, topic, position, to] = frame;
    if (kind !== "message" && kind !== "gap") return;
    if (kind === "message") this.#cursor = moved(this.#cursor, position);
    else if (topic === null) this.#cursor = moved(this.#cursor, to);
    this.view.arrived(frame);
  }

  #caughtUp(filter, cursor) {
    if (!this.#subscribed || filter !== this.#filter) return;
    this.#live = true;
    this.#cursor = cursor;
  }

  #ping(cursor) {
    if (this.#live) this.#cursor = cursor;
    this.#send("pong");
  }

  #goodbye(code, reason, { reconnect_after_ms: reconnectAfterMs } = {}) {
    this.#reconnectAfterMs = reconnectAfterMs ?? null;
  }

  #closed(code, reason) {
    if (this.#welcomedAt !== null && performance.now() - this.#welcomedAt >= STEADY_MS) this.#tries = 0;
    this.#drop();
    const why = reason || `connection lost (${code})`;
    if (!comesBack(code)) return this.view.state("closed", why);
    const backoff = Math.min(500 * 2 ** this.#tries++, WAIT_MS_MAX) * (0.5 + Math.random() / 2);
    const wait = this.#reconnectAfterMs ?? backoff;
    this.view.state("waiting", `${why}; trying again in ${seconds(wait)}`);
    this.#wait = setTimeout(() => this.connect(), wait);
  }

  /** Whatever comes shows that the broker is there; two heartbeats of silence that it is not. */
  #heard() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#closed(1006, "nothing is heard"), 2 * this.#heartbeatMs);
  }

  #drop() {
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomedAt = null;
    this.#session = null;
    this.#subscribed = false;
    this.#live = false;
    this.#subscribeId = null;
    socket?.close();
  }

  #send(...frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}

/** The cursor with the part of the position's partition replaced. */
function moved(cursor, position) {
  const partition = (part) => part.split(".", 1)[0];
  const others = (cursor ?? "").split(",").filter((part) => part && partition(part) !== partition(position));
  return [...others, position].sort((a, b) => partition(a) - partition(b)).join(",");
}

/** True if a client that was closed with this code comes back by itself. */
function comesBack(code) {
  return [1001, 1005, 1006, 1011, 1012, 1013].includes(code) || (code >= 4500 && code <= 4999);
}
