/** All filters that are followed, and which frame belongs to which of them. */

import type { Event } from '../event.js';
import { matches } from '../names.js';
import { request, type SubscribeOptions } from '../options.js';
import { FanfareError } from '../outcome.js';
import { Followed, type Stage } from './followed.js';
import type { Outbox } from './output.js';

/** Filters by their text. */
export class Followers {
  readonly #all = new Map<string, Followed>();

  constructor(readonly outbox: Outbox) {}

  find(filter: string): Followed | undefined {
    return this.#all.get(filter);
  }

  subscribe(filter: string, options: SubscribeOptions): void {
    const followed = new Followed(filter, options);
    this.#all.set(filter, followed);
    this.#ask(followed);
  }

  unsubscribe(filter: string): void {
    const followed = this.#all.get(filter);
    this.#all.delete(filter);
    if (followed?.isKnown) this.#leave(filter);
  }

  /** Leaves a filter for whose events there is no room; its cursor is kept. */
  hold(filter: string): void {
    const followed = this.#all.get(filter);
    if (!followed) return;
    if (followed.isKnown) this.#leave(filter);
    followed.stage = 'held';
  }

  /** Follows a held filter again, from its cursor. */
  release(filter: string): void {
    const followed = this.#all.get(filter);
    if (followed?.stage === 'held') this.#askAgain(followed);
  }

  /** Asks for everything that the broker does not know, over a connection that stands. */
  opened(): void {
    for (const followed of this.#in('away')) this.#ask(followed);
  }

  cut(): void {
    for (const followed of this.#all.values()) followed.cut();
  }

  end(error: FanfareError): void {
    for (const filter of this.#all.keys()) this.outbox.say({ kind: 'ended', filter, error });
    this.#all.clear();
  }

  /** Asks again for what was told to wait until now. */
  tick(nowMs: number): void {
    for (const followed of this.#in('waiting')) if (nowMs >= followed.untilMs) this.#askAgain(followed);
  }

  /** When `tick` has something to do. */
  get timeoutMs(): number {
    return Math.min(...this.#in('waiting').map((followed) => followed.untilMs));
  }

  granted(id: number, cursor: string | undefined): void {
    const followed = this.#askedBy(id);
    if (!followed) return;
    followed.begin(cursor);
    if (!followed.cursor) return;
    if (followed.stage === 'live') this.#bring(followed, { kind: 'live', cursor: followed.cursor });
    else this.#moved(followed);
  }

  refused(nowMs: number, id: number, error: FanfareError): void {
    const followed = this.#askedBy(id);
    if (followed) this.#lost(nowMs, followed, error);
  }

  unsubscribed(nowMs: number, filter: string, error: FanfareError): void {
    const followed = this.#all.get(filter);
    if (followed?.isBegun) this.#lost(nowMs, followed, error);
  }

  /** An event for all live filters that match its topic; without a topic for all live ones. */
  happened(event: Exclude<Event, { kind: 'live' }>): void {
    const topic = event.topic?.split('.');
    for (const followed of this.#in('live')) {
      if (!topic || matches(followed.segments, topic)) this.#bring(followed, event);
    }
  }

  replayed(filter: string, event: Event): void {
    const followed = this.#all.get(filter);
    if (followed?.isBegun) this.#bring(followed, event);
  }

  /** The end of a replay; once live, it only moves the cursor. */
  live(filter: string, cursor: string): void {
    const followed = this.#all.get(filter);
    if (followed?.stage === 'replaying') this.#bring(followed, { kind: 'live', cursor });
    else if (followed?.stage === 'live') this.#moved(followed, cursor);
  }

  pinged(cursor: string): void {
    for (const followed of this.#in('live')) this.#moved(followed, cursor);
  }

  #bring(followed: Followed, event: Event): void {
    followed.take(event);
    this.outbox.say({ kind: 'event', filter: followed.filter, event, cursor: followed.cursor });
  }

  #moved(followed: Followed, cursor = followed.cursor!): void {
    followed.cursor = cursor;
    this.outbox.say({ kind: 'moved', filter: followed.filter, cursor });
  }

  /** A subscription ended or did not begin: it is asked for again after a time, or given up. */
  #lost(nowMs: number, followed: Followed, error: FanfareError): void {
    if (error.retryAfterMs !== undefined) {
      followed.stage = 'waiting';
      followed.untilMs = nowMs + error.retryAfterMs;
    } else {
      this.#all.delete(followed.filter);
      this.outbox.say({ kind: 'ended', filter: followed.filter, error });
    }
  }

  #askAgain(followed: Followed): void {
    followed.stage = 'away';
    this.#ask(followed);
  }

  #ask(followed: Followed): void {
    if (this.outbox.isOpen) this.outbox.send(followed.ask(this.outbox.takeId()));
  }

  #leave(filter: string): void {
    this.outbox.send(request('unsubscribe', this.outbox.takeId(), [filter]));
  }

  #askedBy(id: number): Followed | undefined {
    return this.#in('asked').find((followed) => followed.askedId === id);
  }

  #in(stage: Stage): Followed[] {
    return [...this.#all.values()].filter((followed) => followed.stage === stage);
  }
}
