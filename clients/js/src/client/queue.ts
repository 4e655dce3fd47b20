/** The bounded queue between the session and one subscription that is iterated. */

import type { Event } from '../event.js';
import type { FanfareError } from '../outcome.js';

type Waiter = { resolve(result: IteratorResult<Event>): void; reject(error: FanfareError): void };

/** Events that wait to be taken, each with where the filter stands after it. */
export class Queue {
  /** Where what was taken ends. */
  cursor: string | undefined;
  #events: { event: Event; cursor: string | undefined }[] = [];
  #waiters: Waiter[] = [];
  #end: { error?: FanfareError | undefined } | undefined;
  #isFull = false;

  /** At `eventsMax` it is full; `drained` is called once half of it is free again. */
  constructor(
    readonly eventsMax: number,
    readonly drained: () => void,
  ) {}

  /** Takes an event in; true if no other may follow before it has drained. */
  push(event: Event, cursor: string | undefined): boolean {
    const waiter = this.#waiters.shift();
    if (waiter) {
      this.cursor = cursor;
      waiter.resolve({ done: false, value: event });
    } else this.#events.push({ event, cursor });
    return (this.#isFull = this.#events.length >= this.eventsMax);
  }

  /** The filter stands elsewhere although nothing came. */
  moved(cursor: string): void {
    const newest = this.#events.at(-1);
    if (newest) newest.cursor = cursor;
    else this.cursor = cursor;
  }

  /** Nothing follows what waits; with an error, that comes last. */
  end(error?: FanfareError): void {
    this.#end ??= { error };
    for (const waiter of this.#waiters.splice(0)) this.next().then(waiter.resolve, waiter.reject);
  }

  /** The next event, at once or when it comes. */
  next(): Promise<IteratorResult<Event>> {
    const next = this.#events.shift();
    if (!next) {
      if (!this.#end) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
      const { error } = this.#end;
      this.#end = {};
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    this.cursor = next.cursor;
    if (this.#isFull && this.#events.length <= this.eventsMax / 2) {
      this.#isFull = false;
      this.drained();
    }
    return Promise.resolve({ done: false, value: next.event });
  }
}
