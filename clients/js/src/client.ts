/** The client: what keeps a connection, and the session on it. */

import { createDriver } from './client/driver.js';
import { createFollower, type Callbacks, type Subscription } from './client/subscription.js';
import { surroundings, type Surroundings } from './client/surroundings.js';
import { json, type Codec } from './codec.js';
import { baseUrl } from './endpoint.js';
import { publishFrame, type HistoryOptions, type PublishOptions, type SubscribeOptions } from './options.js';
import { FanfareError, type History, type Published } from './outcome.js';
import type { Status } from './session.js';
import { request } from './session/outbox.js';
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
export interface Client {
  /** Where it stands. */
  readonly status: Status;
  /**
   * Follows a filter, by iterating what it gives or by callbacks.
   *
   * It returns before the broker has answered; should the broker refuse, the subscription ends with that error.
   */
  subscribe<T = unknown>(filter: string, options?: SubscribeOptions, callbacks?: Callbacks<T>): Subscription<T>;
  /**
   * Publishes and waits for the answer; while there is no connection, for the next one.
   *
   * Bytes are published as they are, a string with a `type` as text, anything else as JSON. What was sent and not
   * answered before a cut is sent again with its idempotency key, so it is published once.
   */
  publish(topic: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Reads a topic's history: the newest `limit`, or the oldest above `after`. */
  history<T = unknown>(topic: string, options?: HistoryOptions): Promise<History<T>>;
  /** Asks who is there, in the broker's own words. */
  presence(topic: string): Promise<Record<string, unknown>>;
  /** Closes the connection for good: subscriptions end, requests fail with `closed`. */
  close(): void;
}

/**
 * Connects to the broker at a URL such as `http://127.0.0.1:8900`; a page may leave out its own origin (`/`).
 *
 * It returns at once and keeps trying until it is closed, or until the broker says to stay away.
 */
export function connect(url: string, options: Options = {}): Client {
  return createClient(dials(baseUrl(url), options), options);
}

/** @internal A client over connections of these kinds. */
export function createClient(dials: readonly Dial[], options: Options): Client {
  const { codec = json, queueEventsMax = QUEUE_EVENTS_MAX, around = surroundings(), onStatus = () => {} } = options;
  const { session, followers, tell, request: send } = createDriver(dials, options.token, around, onStatus);

  const ask = (frame: unknown[], isRepeatable = true): Promise<any> => {
    const encoded = codec.encode(frame);
    const { length } = typeof encoded === 'string' ? new TextEncoder().encode(encoded) : encoded;
    return send(frame[1] as number, frame, length, isRepeatable);
  };

  return {
    get status() {
      return session.status();
    },
    subscribe(filter, options = {}, callbacks) {
      if (followers.has(filter)) throw new FanfareError('already_subscribed', `filter ${filter} is followed already`);
      const leave = () => {
        followers.delete(filter);
        tell({ kind: 'unsubscribe', filter });
      };
      const release = () => tell({ kind: 'release', filter });
      const follower = createFollower(filter, options.after, queueEventsMax, callbacks, leave, release);
      followers.set(filter, follower);
      tell({ kind: 'subscribe', filter, options });
      return follower.subscription;
    },
    async publish(topic, data, { idempotencyKey = keyByChance(), ...options } = {}) {
      return ask(
        publishFrame(session.takeId(), topic, data, idempotencyKey, options, codec.isBinary),
        !!idempotencyKey,
      );
    },
    history: (topic, options) => ask(request('history', session.takeId(), topic, options)),
    presence: (topic) => ask(request('presence', session.takeId(), topic)),
    close: () => tell({ kind: 'close' }),
  };
}

/** As `crypto.randomUUID`, which only pages over HTTPS have. */
const keyByChance = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

function dials(base: string, options: Options): Dial[] {
  const { transports = ['websocket', 'sse'], codec = json, fetch } = options;
  const Socket = options.WebSocket ?? (globalThis.WebSocket as SocketClass | undefined);
  const overSse: Dial = async (tell) => (await import('./sse.js')).sse(base, fetch)(tell);
  const found = transports.flatMap((kind) => (kind === 'sse' ? overSse : Socket ? websocket(base, codec, Socket) : []));
  if (!found.length) throw new FanfareError('unsupported', 'no WebSocket here');
  return found;
}
