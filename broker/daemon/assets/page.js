// The console: follows one filter live and publishes, as any client may. It keeps the cursor of what it
// saw, and so misses nothing over a cut, or says what is missing.

const ROWS_MAX = 200;
const LAST = 10;
const WAIT_MS_MAX = 15_000;

const $ = (id) => document.getElementById(id);

/** The connection and what is followed over it. */
class Follower {
  #socket = null;
  #ids = 0;
  #tries = 0;
  #heartbeatMs = 25_000;
  #reconnectAfterMs = null;
  #silence = null;
  #wait = null;
  #retry = null;
  #welcomed = false;
  #filter = null;
  #cursor = null;
  #subscribeId = null;
  #subscribed = false;
  #live = false;

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

  follow(filter) {
    const before = this.#filter;
    this.#filter = filter;
    this.#cursor = null;
    if (this.#welcomed) {
      if (before !== null && this.#subscribeId !== null) this.#send("unsubscribe", ++this.#ids, before);
      this.#subscribe();
    }
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

  #welcome({ heartbeat_ms: heartbeatMs }) {
    this.#tries = 0;
    this.#welcomed = true;
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
    } else {
      const socket = this.#socket;
      this.#retry = setTimeout(() => socket === this.#socket && this.#subscribe(), retryAfterMs);
    }
  }

  #arrived([kind, ...parts]) {
    if (kind === "message") {
      const [topic, position, data, meta = {}] = parts;
      this.#cursor = moved(this.#cursor, position);
      this.view.message(topic, position, data, meta);
    } else if (kind === "gap") {
      const [topic, from, to, { count } = {}] = parts;
      if (topic === null) this.#cursor = moved(this.#cursor, to);
      this.view.gap(topic, from, to, count);
    }
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
    this.#drop();
    const why = reason || `the connection is gone (${code})`;
    if (!comesBack(code)) return this.view.state("closed", why);
    const backoff = Math.min(500 * 2 ** this.#tries++, WAIT_MS_MAX) * (0.5 + Math.random() / 2);
    const wait = this.#reconnectAfterMs ?? backoff;
    this.view.state("waiting", `${why}; back in ${seconds(wait)}`);
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
    this.#welcomed = false;
    this.#subscribed = false;
    this.#live = false;
    this.#subscribeId = null;
    socket?.close();
  }

  #send(...frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}

/** What the follower has to show. */
class View {
  #rows = [];
  #count = 0;
  #filter = null;

  state(name, text) {
    $("state").dataset.state = name;
    $("state").textContent = text;
    $("reconnect").hidden = name !== "closed" && name !== "waiting";
  }

  reset(filter) {
    this.#rows = [];
    this.#count = 0;
    this.#filter = filter;
    $("messages").replaceChildren();
    this.#summary(`Asking for ${filter} …`);
  }

  following(filter, resumed) {
    this.#summary(`Following ${filter}${resumed === true ? "; nothing was missed" : ""}.`);
  }

  trouble(text) {
    this.#summary(text, "bad");
  }

  message(topic, position, data, meta) {
    this.#count += 1;
    const time = meta.time === undefined ? "" : new Date(meta.time).toLocaleTimeString();
    const kind = [meta.type, meta.encoding, meta.user && `by ${meta.user}`].filter(Boolean).join(", ");
    const head = element("div", "meta");
    head.append(
      element("span", "topic", topic),
      element("time", "time", time),
      element("span", "position", position),
      element("span", "kind", kind),
    );
    const row = element("li");
    row.append(head, element("pre", "data", typeof data === "string" && meta.type ? data : JSON.stringify(data)));
    this.#add(row);
  }

  gap(topic, from, to, count) {
    const many = count === undefined ? "Messages" : `${count} message${count === 1 ? "" : "s"}`;
    const text = topic === null
      ? `Messages after ${from} up to ${to} may be missing.`
      : `${many} of ${topic} after ${from} up to ${to} ${count === 1 ? "is" : "are"} missing.`;
    this.notice(text);
  }

  notice(text) {
    this.#add(element("li", "gap", text));
  }

  answer(text, isGood) {
    $("answer").textContent = text;
    $("answer").className = isGood ? "good" : "bad";
  }

  #summary(text, className = "") {
    $("following").textContent = text;
    $("following").className = className;
  }

  /** Rows wait for the next frame, so that a flood of messages costs one drawing. */
  #add(row) {
    if (this.#rows.push(row) === 1) requestAnimationFrame(() => this.#draw());
    if (this.#rows.length > ROWS_MAX) this.#rows.shift();
  }

  #draw() {
    const list = $("messages");
    list.prepend(...this.#rows.reverse());
    this.#rows = [];
    while (list.childElementCount > ROWS_MAX) list.lastElementChild.remove();
    if (this.#filter !== null && !$("following").className) {
      this.#summary(`Following ${this.#filter}: ${this.#count} message${this.#count === 1 ? "" : "s"} so far.`);
    }
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

function seconds(ms) {
  return `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
}

/** An element whose text is only ever text. */
function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function publish(view) {
  const topic = $("topic").value.trim();
  const data = $("data").value;
  const type = isJson(data) ? "application/json" : "text/plain; charset=utf-8";
  try {
    const url = new URL(`v1/topics/${encodeURIComponent(topic)}`, document.baseURI);
    const response = await fetch(url, { method: "POST", headers: { "Content-Type": type }, body: data });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      return view.answer(`${answer.code ?? response.status}: ${answer.detail ?? response.statusText}`, false);
    }
    const receivers = answer.receivers === undefined ? "" : ` by ${answer.receivers}`;
    view.answer(`Published at ${answer.position}, ${answer.heard ? `heard${receivers}` : "nobody listens"}`, true);
  } catch {
    view.answer("The broker is not reached.", false);
  }
}

const view = new View();
const follower = new Follower(view);

function follow(filter) {
  $("filter").value = filter;
  view.reset(filter);
  follower.follow(filter);
}

$("publish").addEventListener("submit", (event) => {
  event.preventDefault();
  publish(view);
});
$("data").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("publish").requestSubmit();
});
$("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  const filter = $("filter").value.trim();
  history.replaceState(null, "", `#${encodeURIComponent(filter)}`);
  follow(filter);
});
$("reconnect").addEventListener("click", () => follower.connect());

follower.connect();
// A filter in the address is followed at once, so that the page can be bookmarked with it.
if (location.hash.length > 1) follow(decodeURIComponent(location.hash.slice(1)));
