/** The client: what keeps a connection, and the session on it. */

import { createDriver, type Driver } from './client/driver.js';
import { Subscription, type Callbacks } from './client/subscription.js';
import { surroundings, type Surroundings } from './client/surroundings.js';
import { json, type Codec } from './codec.js';
import { baseUrl } from './endpoint.js';
import { publishFrame, type PublishOptions, type SubscribeOptions } from './options.js';
import { FanfareError, type History, type Published } from './outcome.js';
import type { Status } from './session.js';
import { request } from './session/outbox.js';
import { sse } from './sse.js';
import type { Fetch } from './sse/calls.js';
import { websocket, type SocketClass } from './websocket.js';
import type { Dial } from './wire.js';

/** Events that wait in each subscription that is iterated, unless another limit is given. */
const QUEUE_EVENTS_MAX = 1024;

/** How a client connects. */
export interface Options {
  /** Gives a JWT: asked before each connection, and before a token ends. */
  token?: (() => string | Promise<string>) | undefined;
  /** The encoding of frames over WebSockets [default: JSON]. */
  codec?: Codec | undefined;
  /** What is tried, in this order: the next after three connections in vain [default: both]. */
  transports?: readonly ('websocket' | 'sse')[] | undefined;
  /**
   * Events that wait in each subscription that is iterated [default: 1024].
   *
   * At the limit the broker is told to send no more of it; what was missed follows from the cursor once half is free,
   * and what the broker does not keep any more is told as a gap.
   */
  queueEventsMax?: number | undefined;
  /** Told whenever the client stands elsewhere. */
  onStatus?: ((status: Status) => void) | undefined;
  /** What opens WebSockets [default: the global one; where there is none, server-sent events are used]. */
  WebSocket?: SocketClass | undefined;
  /** What calls HTTP [default: the global one]. */
  fetch?: Fetch | undefined;
  /** @internal */
  around?: Surroundings | undefined;
}

/** A client of one broker: it follows filters, publishes, and comes back by itself after every cut. */
export class Client {
  readonly #driver: Driver;
  readonly #codec: Codec;

  /** Made by `connect`. */
  constructor(
    url: string,
    readonly options: Options = {},
  ) {
    const { token, around = surroundings(), onStatus = () => {} } = options;
    this.#codec = options.codec ?? json;
    this.#driver = createDriver(dials(baseUrl(url), options), token, around, onStatus);
  }

  /** Where it stands. */
  get status(): Status {
    return this.#driver.session.status();
  }

  /**
   * Follows a filter, by iterating what it gives or by callbacks.
   *
   * It returns before the broker has answered; should the broker refuse, the subscription ends with that error.
   */
  subscribe<T = unknown>(filter: string, options: SubscribeOptions = {}, callbacks?: Callbacks<T>): Subscription<T> {
    const { after } = options;
    const driver = this.#driver;
    if (driver.session.follows(filter)) throw new FanfareError('already_subscribed', `filter ${filter} is followed already`);
    const leave = () => {
      driver.subscriptions.delete(filter);
      driver.tell({ kind: 'unsubscribe', filter });
    };
    const release = () => driver.tell({ kind: 'release', filter });
    const eventsMax = Math.max(1, this.options.queueEventsMax ?? QUEUE_EVENTS_MAX);
    const subscription = new Subscription<T>(filter, after, eventsMax, { leave, release }, callbacks);
    driver.subscriptions.set(filter, subscription);
    driver.tell({ kind: 'subscribe', filter, options });
    return subscription;
  }

  /**
   * Publishes and waits for the answer; while there is no connection, for the next one.
   *
   * Bytes are published as they are, a string with a `type` as text, anything else as JSON. What was sent and not
   * answered before a cut is sent again with its idempotency key, so it is published once.
   */
  async publish(topic: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { idempotencyKey = keyByChance() } = options;
    const id = this.#driver.session.takeId();
    const frame = publishFrame(id, topic, data, { ...options, idempotencyKey }, this.#codec.isBinary);
    return (await this.#ask(id, frame, !!idempotencyKey)) as object as Published;
  }

  /** Reads a topic's history: the newest `limit`, or the oldest above `after`. */
  async history<T = unknown>(topic: string, { after, limit }: { after?: string; limit?: number } = {}): Promise<History<T>> {
    const id = this.#driver.session.takeId();
    const body = await this.#ask(id, request('history', id, topic, { after, limit }), true);
    return body as object as History<T>;
  }

  /** Asks who is there, in the broker's own words. */
  async presence(topic: string): Promise<Record<string, unknown>> {
    const id = this.#driver.session.takeId();
    return this.#ask(id, request('presence', id, topic), true);
  }

  /** Closes the connection for good: subscriptions end, requests fail with `closed`. */
  close(): void {
    this.#driver.tell({ kind: 'close' });
  }

  #ask(id: number, frame: unknown[], isRepeatable: boolean) {
    const encoded = this.#codec.encode(frame);
    const { length } = typeof encoded === 'string' ? new TextEncoder().encode(encoded) : encoded;
    return this.#driver.request(id, frame, length, isRepeatable);
  }
}

/**
 * Connects to the broker at a URL such as `http://127.0.0.1:8900`; a page may leave out its own origin (`/`).
 *
 * It returns at once and keeps trying until it is closed, or until the broker says to stay away.
 */
export function connect(url: string, options?: Options): Client {
  return new Client(url, options);
}

function dials(base: string, options: Options): Dial[] {
  const { transports = ['websocket', 'sse'], codec = json, fetch = (url, init) => globalThis.fetch(url, init) } = options;
  const Socket = options.WebSocket ?? (globalThis.WebSocket as SocketClass | undefined);
  const found = transports.flatMap((kind) => (kind === 'sse' ? sse(base, fetch) : Socket ? websocket(base, codec, Socket) : []));
  if (!found.length) throw new FanfareError('unsupported', 'there is no WebSocket here, and server-sent events are not wanted');
  return found;
}

function keyByChance(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('');
}
