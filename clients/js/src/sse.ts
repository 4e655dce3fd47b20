/**
 * Frames where WebSockets do not pass: subscriptions as streams of server-sent events, requests as calls of HTTP. To
 * the session it looks like any other connection.
 */

import { Calls, problem, refusal, type Fetch, type Problem } from './sse/calls.js';
import { EventReader, type ServerEvent } from './sse/events.js';
import { merge, Stream } from './sse/stream.js';
import type { Dial, Wire } from './wire.js';

/** The most streams at once: with HTTP/1.1 a browser has six connections to a host. */
const STREAMS_MAX = 4;

/** Dials the broker at a base URL such as `http://127.0.0.1:8900`. */
export function sse(base: string, fetch: Fetch = (url, init) => globalThis.fetch(url, init)): Dial {
  return (tell) => new Streams(base, fetch, tell);
}

class Streams implements Wire {
  readonly #abort = new AbortController();
  readonly #calls: Calls;
  /** Asked for in this turn, to share streams. */
  #asked: [id: number, filter: string, options: { after?: string; last?: number; on_slow?: string }][] = [];
  #waiting: Stream[] = [];
  readonly #open = new Set<Stream>();
  #token: string | undefined;
  #isClosed = false;
  /** The broker took what it was asked for in one. */
  #mayMerge = true;

  constructor(
    readonly base: string,
    readonly fetch: Fetch,
    readonly tell: Parameters<Dial>[0],
  ) {
    this.#calls = new Calls(
      (path, init) => this.#call(path, init),
      (frame) => this.#tell(frame),
      (error) => this.#fail(error),
    );
    void this.#begin().catch((error) => this.#fail(error));
  }

  send(frame: unknown[]): void {
    const [op, id, name, options] = frame as [string, number, string, any];
    if (op === 'subscribe') {
      if (this.#asked.push([id, name, options ?? {}]) === 1) queueMicrotask(() => this.#group());
    } else if (op === 'unsubscribe') {
      this.#leave(name);
      this.#tell(['ok', id]);
    } else if (op === 'publish') {
      this.#calls.publish(frame);
    } else if (op === 'history' || op === 'presence') {
      void this.#calls.read(id, name, op === 'history' ? 'messages' : op, options);
    } else if (op === 'connect') {
      this.#token = (frame[2] as { token?: string } | undefined)?.token;
      this.#tell(['welcome', id]);
    } else if (op === 'token') {
      this.#token = name;
      this.#tell(['ok', id]);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#abort.abort();
    for (const stream of this.#open) stream.abort.abort();
  }

  /** A connection stands as soon as the broker answers anything. */
  async #begin(): Promise<void> {
    const response = await this.#call('/healthz');
    await response.text();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    if (this.#isClosed) return;
    this.tell({ kind: 'opened' });
    this.#tell(['welcome', null]);
  }

  /** Filters that begin at the same place share a stream. */
  #group(): void {
    const streams: Stream[] = [];
    for (const [id, filter, { after, last, on_slow: onSlow }] of this.#asked) {
      let stream = streams.find(
        (known) => known.after === after && known.last === last && known.onSlow === onSlow && known.fits(filter),
      );
      if (!stream) streams.push((stream = new Stream(after, last, onSlow)));
      stream.filters.set(filter, { id, floor: undefined });
    }
    this.#asked = [];
    this.#waiting.push(...streams);
    this.#pump();
  }

  #pump(): void {
    while (!this.#isClosed && this.#waiting.length && this.#open.size < STREAMS_MAX) {
      const stream = this.#waiting.shift()!;
      this.#open.add(stream);
      this.#run(stream).catch((error) => stream.abort.signal.aborted || this.#fail(error));
    }
  }

  async #run(stream: Stream): Promise<void> {
    const response = await this.#call(`/v1/sse?${stream.query}`, { signal: stream.abort.signal });
    if (!response.ok) return this.#refused(stream, await problem(response));
    const [reader, decoder, events] = [response.body!.getReader(), new TextDecoder(), new EventReader()];
    for (;;) {
      const { done, value } = await reader.read();
      if (stream.abort.signal.aborted) return;
      if (done) throw new Error('the stream ended');
      this.tell({ kind: 'heard' });
      for (const event of events.read(decoder.decode(value, { stream: true }))) {
        this.#event(stream, event);
        if (stream.abort.signal.aborted) return;
      }
    }
  }

  #event(stream: Stream, { id, data }: ServerEvent): void {
    const frame = data === undefined ? undefined : parsed(data);
    if (data !== undefined && !Array.isArray(frame)) return this.tell({ kind: 'frame', frame: data });
    if (Array.isArray(frame) && frame[0] === 'goodbye') return this.#tell(frame);
    if (Array.isArray(frame) && frame[0] === 'error') {
      return this.#refused(stream, { code: String(frame[2]), detail: String(frame[3]) });
    }
    stream.cursor = id ?? stream.cursor;
    for (const followed of stream.filters.values()) {
      if (followed.id) this.#tell(['ok', followed.id, { cursor: stream.cursor }]);
      followed.id = undefined;
    }
    if (Array.isArray(frame) && frame[0] !== 'live') {
      for (const filter of stream.heirs(frame)) this.#tell(['replay', filter, frame]);
      return;
    }
    // A heartbeat says no more than `live` does, and only of what is live.
    stream.isLive ||= !!frame;
    if (!stream.isLive) return;
    for (const filter of stream.filters.keys()) this.#tell(['live', filter, stream.cursor]);
    this.#merge(stream.onSlow);
  }

  /** Streams of one policy that are live become one. */
  #merge(onSlow: string | undefined): void {
    const live = [...this.#open].filter((stream) => stream.isLive && stream.onSlow === onSlow);
    const merged = live.length > 1 && this.#mayMerge && merge(live);
    if (merged) this.#replace(live, [merged]);
  }

  #leave(filter: string): void {
    this.#asked = this.#asked.filter(([, asked]) => asked !== filter);
    for (const stream of [...this.#open, ...this.#waiting]) {
      if (!stream.filters.delete(filter)) continue;
      if (!stream.filters.size) this.#replace([stream], []);
      else if (stream.isLive) this.#replace([stream], [merge([stream])!]);
    }
  }

  /** One bad filter spoils no other: each is asked for alone. */
  #refused(stream: Stream, why: Problem): void {
    const alone = [...stream.filters].map(([filter, followed]) => {
      const one = new Stream(stream.after, stream.last, stream.onSlow);
      one.filters.set(filter, followed);
      return one;
    });
    // What was answered before was merged: what the broker refuses together stays apart.
    if (alone.length > 1 && [...stream.filters.values()].some(({ id }) => !id)) this.#mayMerge = false;
    if (alone.length > 1) return this.#replace([stream], alone);
    const [[filter, { id }]] = [...stream.filters] as [[string, { id?: number | undefined }], ...unknown[]];
    this.#replace([stream], []);
    const { code, detail, retry_after_ms } = why;
    this.#tell(id ? refusal(id, why) : ['unsubscribed', filter, code, detail ?? '', { retry_after_ms }]);
  }

  #replace(old: readonly Stream[], by: readonly Stream[]): void {
    for (const stream of old) {
      stream.abort.abort();
      this.#open.delete(stream);
      this.#waiting = this.#waiting.filter((waiting) => waiting !== stream);
    }
    this.#waiting.push(...by);
    this.#pump();
  }

  #call(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...(init.headers as object), ...(this.#token && { Authorization: `Bearer ${this.#token}` }) };
    // That of a browser may be called as nobody's method only.
    const { fetch } = this;
    return fetch(this.base + path, { signal: this.#abort.signal, cache: 'no-store', ...init, headers });
  }

  #tell(frame: unknown[]): void {
    if (!this.#isClosed) this.tell({ kind: 'frame', frame });
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.tell({ kind: 'closed', code: 1006, reason: String((error as Error)?.message ?? error) });
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
