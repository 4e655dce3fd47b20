/** What a subscription brings. */

/** A message: of kind json its data are a value, of kind text a string with a `type`, of kind binary bytes. */
export interface Message<T = unknown> {
  readonly kind: 'message';
  readonly topic: string;
  /** Its place, such as `0.k3f9a:10492`. */
  readonly position: string;
  readonly data: T;
  /** The media type, of text and perhaps of bytes. */
  readonly type?: string;
  /** When it was numbered, in milliseconds since 1970. */
  readonly time?: number;
  /** Who published it, if known. */
  readonly user?: string;
  /** The publisher's own. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** After `from`, up to and including `to`, something is missing: of the topic, or of anything that the filter matches. */
export interface Gap {
  readonly kind: 'gap';
  readonly topic?: string | undefined;
  readonly from: string;
  readonly to: string;
  /** How many messages, where that is known. */
  readonly count?: number;
}

/** Caught up, at this cursor; it comes again after each cut, once what was missed has come. */
export interface Live {
  readonly kind: 'live';
  readonly cursor: string;
}

/** Somebody came to the topic, or left it. */
export interface Presence {
  readonly kind: 'join' | 'leave';
  readonly topic: string;
  readonly session?: string;
  readonly user?: string;
  readonly data?: unknown;
}

/** One thing that a subscription brings. */
export type Event<T = unknown> = Message<T> | Gap | Live | Presence;
