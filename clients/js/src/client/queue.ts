/** The bounded queue between the session and one subscription that is iterated. */

import type { Event } from '../event.js';
import type { FanfareError } from '../outcome.js';

/** Events that wait to be taken, each with where the filter stands after it. */
export class Queue {
  #events: { event: Event; cursor: string | undefined }[] = [];
  #end: { error?: FanfareError | undefined } | undefined;
  #isFull = false;
  #news = () => {};

  /** At `eventsMax` it is full; `drained` is called once half of it is free again. `cursor` is where what was taken ends. */
  constructor(
    public cursor: string | undefined,
    readonly eventsMax: number,
    readonly drained: () => void,
  ) {}

  /** Takes an event in; true if no other may follow before it has drained. */
  push(event: Event, cursor: string | undefined): boolean {
    this.#isFull = this.#events.push({ event, cursor }) >= this.eventsMax;
    this.#news();
    return this.#isFull;
  }

  /** The filter stands elsewhere although nothing came. */
  moved(cursor: string | undefined): void {
    (this.#events.at(-1) ?? this).cursor = cursor;
  }

  /** Nothing follows what waits; with an error, that comes last. */
  end(error?: FanfareError): void {
    this.#end ??= { error };
    this.#news();
  }

  /** The next event, at once or when it comes. */
  async next(): Promise<IteratorResult<Event>> {
    while (!this.#events.length && !this.#end) {
      const others = this.#news;
      await new Promise<void>((resolve) => (this.#news = () => (others(), resolve())));
    }
    const next = this.#events.shift();
    if (!next) {
      const { error } = this.#end!;
      this.#end = {};
      if (error) throw error;
      return { done: true, value: undefined };
    }
    this.cursor = next.cursor;
    if (this.#isFull && this.#events.length <= this.eventsMax / 2) {
      this.#isFull = false;
      this.drained();
    }
    return { done: false, value: next.event };
  }
}
