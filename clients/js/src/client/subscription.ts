/** What a follower holds. */

import type { Event, Gap, Live, Message, Presence } from '../event.js';
import type { FanfareError } from '../outcome.js';
import { Queue } from './queue.js';

/** Functions that are told at once what a subscription brings. */
export interface Callbacks<T = unknown> {
  message?(message: Message<T>): void;
  gap?(gap: Gap): void;
  live?(live: Live): void;
  join?(presence: Presence): void;
  leave?(presence: Presence): void;
  /** Nothing follows; without an error this side wanted it. */
  end?(error?: FanfareError): void;
}

/** How a subscription reaches its client. */
export interface Follower {
  leave(): void;
  release(): void;
}

/**
 * One filter that a client follows, as an async iterable of events. It ends when this side wants it and throws when
 * the broker ends it or the client is closed for good.
 */
export class Subscription<T = unknown> implements AsyncIterableIterator<Event<T>> {
  readonly #queue: Queue;
  #isEnded = false;

  /** Made by `Client.subscribe`. */
  constructor(
    readonly filter: string,
    after: string | undefined,
    eventsMax: number,
    readonly follower: Follower,
    readonly callbacks: Callbacks<T> | undefined,
  ) {
    this.#queue = new Queue(after, eventsMax, () => follower.release());
  }

  /** Where the events that were taken end: what to give as `after` to go on from here. */
  get cursor(): string | undefined {
    return this.#queue.cursor;
  }

  /** The next event; `done` after the last. */
  next(): Promise<IteratorResult<Event<T>>> {
    return this.#queue.next() as Promise<IteratorResult<Event<T>>>;
  }

  /** What `break` out of a loop calls. */
  async return(): Promise<IteratorResult<Event<T>>> {
    this.unsubscribe();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Follows it no more: nothing comes after that. */
  unsubscribe(): void {
    if (!this.#isEnded) this.follower.leave();
    this.ended();
  }

  /** @internal True if there is no room for another. */
  brought(event: Event, cursor: string | undefined): boolean {
    if (!this.callbacks) return this.#queue.push(event, cursor);
    this.moved(cursor);
    this.#call(event.kind, event);
    return false;
  }

  /** @internal */
  moved(cursor: string | undefined): void {
    this.#queue.moved(cursor);
  }

  /** @internal */
  ended(error?: FanfareError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#queue.end(error);
    this.#call('end', error);
  }

  /** What a callback throws is its owner's, told where uncaught errors are told. */
  #call(name: keyof Callbacks, what: unknown): void {
    try {
      this.callbacks?.[name]?.(what as never);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
