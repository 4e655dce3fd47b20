// The browser's own WebSocket, with frames that are awaited one after the other.

import { decode, encode } from "/modules/@msgpack/msgpack/dist.esm/index.mjs";

const PATIENCE_MS = 15_000;
const CODECS = {
  "fanfare.v1.json": { encode: JSON.stringify, decode: JSON.parse },
  "fanfare.v1.msgpack": { encode, decode: (data) => decode(data) },
};

/** An open connection. */
export class Frames {
  #socket;
  #came = [];
  #waiting = null;
  /** Resolves to the close code. */
  closed;

  /** Opens one; an error has the close code where the broker refuses. */
  static async open(url, protocols) {
    const frames = new Frames();
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    frames.#socket = socket;
    frames.closed = new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
    socket.addEventListener("message", ({ data }) => {
      frames.#came.push(CODECS[socket.protocol].decode(data));
      frames.#waiting?.();
    });
    const opened = new Promise((resolve) => socket.addEventListener("open", () => resolve(null)));
    const code = await Promise.race([opened, frames.closed]);
    if (code !== null) throw new Error(`refused with ${code}`);
    return frames;
  }

  /** The subprotocol that was agreed on. */
  get protocol() {
    return this.#socket.protocol;
  }

  send(...frame) {
    this.#socket.send(CODECS[this.protocol].encode(frame));
  }

  /** The next frame, `welcome` and `ping` left out. */
  async next() {
    for (;;) {
      if (this.#came.length === 0) await this.#more();
      const frame = this.#came.shift();
      if (frame[0] !== "welcome" && frame[0] !== "ping") return frame;
    }
  }

  /** The next frames. */
  async several(count) {
    const frames = [];
    while (frames.length < count) frames.push(await this.next());
    return frames;
  }

  #more() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no frame within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.#waiting = () => {
        clearTimeout(timer);
        this.#waiting = null;
        resolve();
      };
    });
  }
}

/** Frames as a story compares them: positions written as `@7`, bytes as a list, no times, no empty meta. */
export function plain(frames) {
  return frames.map((frame) => {
    const parts = frame.map(plainValue);
    const isBare = frame[0] === "message" && Object.keys(parts[4] ?? {}).length === 0;
    return isBare ? parts.slice(0, 4) : parts;
  });
}

function plainValue(value) {
  if (typeof value === "string") return value.replace(/^\d+\.[0-9a-z]+:(\d+)$/, "@$1");
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "time");
  return Object.fromEntries(kept.map(([key, inner]) => [key, plainValue(inner)]));
}
