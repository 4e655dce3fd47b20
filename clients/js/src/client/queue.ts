/** The bounded queue between the session and one subscription that is iterated. */

import type { Event } from '../event.js';
import type { FanfareError } from '../outcome.js';

/** Events that wait to be taken, each with where the filter stands after it. */
export interface Queue {
  /** Where what was taken ends. */
  cursor(): string | undefined;
  /** Takes an event in; true if no other may follow before it has drained. */
  push(event: Event, cursor: string | undefined): boolean;
  /** The filter stands elsewhere although nothing came. */
  moved(cursor: string | undefined): void;
  /** Nothing follows what waits; with an error, that comes last. */
  end(error?: FanfareError): void;
  /** The next event, at once or when it comes. */
  next(): Promise<IteratorResult<Event>>;
}

/** An empty one: at `eventsMax` it is full; `drained` is called once half of it is free again. */
export function createQueue(cursor: string | undefined, eventsMax: number, drained: () => void): Queue {
  const events: { event: Event; cursor: string | undefined }[] = [];
  let error: FanfareError | undefined;
  let isEnded = false;
  let isFull = false;
  const waiting: (() => void)[] = [];
  const news = () => waiting.splice(0).forEach((resolve) => resolve());

  return {
    cursor: () => cursor,
    push(event, cursor) {
      isFull = events.push({ event, cursor }) >= eventsMax;
      news();
      return isFull;
    },
    moved(to) {
      const newest = events.at(-1);
      if (newest) newest.cursor = to;
      else cursor = to;
    },
    end(why) {
      error = why;
      isEnded = true;
      news();
    },
    async next() {
      while (!events.length && !isEnded) await new Promise<void>((resolve) => waiting.push(resolve));
      const next = events.shift();
      if (!next) {
        const last = error;
        error = undefined;
        if (last) throw last;
        return { done: true, value: undefined };
      }
      cursor = next.cursor;
      if (isFull && events.length <= eventsMax / 2) {
        isFull = false;
        drained();
      }
      return { done: false, value: next.event };
    },
  };
}
