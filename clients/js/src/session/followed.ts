/** One filter: where it stands, and what it asks for after a cut. */

import { replacePart } from '../cursor.js';
import type { Event } from '../event.js';
import { subscribeFrame, type SubscribeOptions } from '../options.js';

/**
 * What the broker knows of a filter. Nothing: `away` (there is no connection), `waiting` (it said to try again later)
 * and `held` (there was no room for what came). While `asked`, what comes is of an earlier subscription.
 */
export type Stage = 'away' | 'asked' | 'replaying' | 'live' | 'waiting' | 'held';

/** A filter that somebody follows. */
export class Followed {
  stage: Stage = 'away';
  cursor: string | undefined;
  /** Of `asked`: the request. */
  askedId = 0;
  /** Of `waiting`: when it is asked for again. */
  untilMs = 0;
  readonly segments: readonly string[];
  /** What is still to be asked for: nothing of it has come. */
  #last: number | undefined;

  constructor(
    readonly filter: string,
    readonly options: SubscribeOptions,
  ) {
    this.segments = filter.split('.');
    this.cursor = options.after;
    this.#last = options.last;
  }

  /** The request that asks for it from where it stands. */
  ask(id: number): unknown[] {
    this.stage = 'asked';
    this.askedId = id;
    return subscribeFrame(id, this.filter, { ...this.options, after: this.cursor, last: this.#last });
  }

  /** The answer came, with where it begins. */
  begin(cursor: string | undefined): void {
    this.stage = this.cursor || this.#last ? 'replaying' : 'live';
    this.cursor = cursor ?? this.cursor;
  }

  /** An event belongs to it: a message and a gap without a topic move their partition's part, even backwards. */
  take(event: Event): void {
    if (event.kind === 'message') {
      this.#last = undefined;
      this.cursor = replacePart(this.cursor, event.position);
    } else if (event.kind === 'gap' && event.topic === undefined) {
      this.cursor = replacePart(this.cursor, event.to);
    } else if (event.kind === 'live') {
      this.#last = undefined;
      this.stage = 'live';
      this.cursor = event.cursor;
    }
  }

  /** The connection is gone. */
  cut(): void {
    if (this.isKnown) this.stage = 'away';
  }

  /** True if the broker sends, or will send, what it matches. */
  get isKnown(): boolean {
    return this.isBegun || this.stage === 'asked';
  }

  /** True if the answer has come: frames that name the filter are its own. */
  get isBegun(): boolean {
    return this.stage === 'replaying' || this.stage === 'live';
  }
}
