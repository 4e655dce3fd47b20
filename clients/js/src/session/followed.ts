/** One filter: where it stands, and what it asks for after a cut. */

import type { SubscribeOptions } from '../options.js';

/**
 * What the broker knows of a filter. Nothing: `away` (there is no connection), `waiting` (it said to try again later)
 * and `held` (there was no room for what came). While `asked`, what comes is of an earlier subscription.
 */
export type Stage = 'away' | 'waiting' | 'held' | 'asked' | 'replaying' | 'live';

/** A filter that somebody follows. */
export interface Followed {
  readonly filter: string;
  readonly segments: readonly string[];
  readonly options: SubscribeOptions;
  stage: Stage;
  cursor: string | undefined;
  /** What is still to be asked for: nothing of it has come. */
  last: number | undefined;
  /** Of `asked`: the request. */
  id?: number;
  /** Of `waiting`: when it is asked for again. */
  untilMs?: number;
}

/** True if the answer has come: frames that name the filter are its own. */
export const isBegun = ({ stage }: Followed): boolean => stage === 'replaying' || stage === 'live';

/** True if the broker sends, or will send, what it matches. */
export const isKnown = (followed: Followed): boolean => isBegun(followed) || followed.stage === 'asked';
