/** What publishing comes to, and what goes wrong. */

import type { Gap, Message } from './event.js';

/** What the broker says of a message that has its place. */
export interface Published {
  readonly position: string;
  /** True if some session gets it. */
  readonly heard: boolean;
  /** How many sessions get it, where the broker knows. */
  readonly receivers?: number;
  /** True if this is the first answer to its idempotency key, once more. */
  readonly repeated?: boolean;
}

/** A part of a topic's history. */
export interface History<T = unknown> {
  readonly frames: readonly (Message<T> | Gap)[];
  /** What to give as `after` to go on. */
  readonly cursor?: string;
  /** True if there is more above the cursor. */
  readonly more: boolean;
}

/** What an answer says; which of it is there depends on the request. */
export interface OkBody {
  readonly cursor?: string;
  readonly position?: string;
  readonly frames?: readonly (Message | Gap)[];
  readonly [other: string]: unknown;
}

/**
 * What went wrong: `code` is a stable word of the broker's, or one of the client's own: `closed`, `unclear` (it may
 * have been published or not), `bad_url`.
 */
export class FanfareError extends Error {
  constructor(
    readonly code: string,
    reason: string,
    /** How long to wait before trying again; there iff that helps. */
    readonly retryAfterMs?: number,
    /** Of `closed`: the code with which the connection ended for good. */
    readonly closeCode?: number,
  ) {
    super(`${reason} (${closeCode ?? code})`);
    this.name = 'FanfareError';
  }
}
