/** What a follower holds. */

import type { Event, Gap, Live, Message, Presence } from '../event.js';
import type { FanfareError } from '../outcome.js';
import { createQueue } from './queue.js';

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

/**
 * One filter that a client follows, as an async iterable of events. It ends when this side wants it and throws when
 * the broker ends it or the client is closed for good.
 */
export interface Subscription<T = unknown> extends AsyncIterableIterator<Event<T>> {
  readonly filter: string;
  /** Where the events that were taken end: what to give as `after` to go on from here. */
  readonly cursor: string | undefined;
  /** Follows it no more: nothing comes after that, but what waits to be taken. */
  unsubscribe(): void;
}

/** The client's end of a subscription. */
export interface Follower {
  readonly subscription: Subscription<any>;
  /** True if there is no room for another event. */
  bring(event: Event, cursor: string | undefined): boolean;
  moved(cursor: string | undefined): void;
  end(error?: FanfareError): void;
}

/** A subscription to a filter: `leave` unsubscribes it, `release` takes it up again once there is room. */
export function createFollower(
  filter: string,
  after: string | undefined,
  eventsMax: number,
  callbacks: Callbacks<any> | undefined,
  leave: () => void,
  release: () => void,
): Follower {
  const queue = createQueue(after, eventsMax, release);
  let isEnded = false;

  /** What a callback throws is its owner's, told where uncaught errors are told. */
  const call = (name: keyof Callbacks, what: unknown) => {
    try {
      callbacks?.[name]?.(what as never);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };

  const end = (error?: FanfareError) => {
    if (isEnded) return;
    isEnded = true;
    queue.end(error);
    call('end', error);
  };

  const unsubscribe = () => {
    if (!isEnded) leave();
    end();
  };

  return {
    subscription: {
      filter,
      unsubscribe,
      get cursor() {
        return queue.cursor();
      },
      next: queue.next as Subscription['next'],
      /** What `break` out of a loop calls. */
      async return() {
        unsubscribe();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    },
    bring(event, cursor) {
      if (!callbacks) return queue.push(event, cursor);
      queue.moved(cursor);
      call(event.kind, event);
      return false;
    },
    moved: queue.moved,
    end,
  };
}
