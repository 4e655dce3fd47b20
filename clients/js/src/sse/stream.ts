/** One stream of server-sent events: the filters on it, and how several become one. */

import { isPosition } from '../cursor.js';
import { matches } from '../matching.js';

/** The most characters of the filters of one stream: a URL has to fit a request's head. */
const CHARS_MAX = 6_000;
/** The most filters of one stream, by the protocol. */
const FILTERS_MAX = 64;

/** A filter on a stream. */
interface Followed {
  /** The request that is not answered yet. */
  id: number | undefined;
  /** What is at or below this cursor came by another stream. */
  floor: string | undefined;
}

/** Filters that share a stream and its cursor. */
export class Stream {
  readonly filters = new Map<string, Followed>();
  readonly abort = new AbortController();
  cursor: string | undefined;
  isLive = false;

  constructor(
    readonly after: string | undefined,
    readonly last?: number,
    readonly onSlow?: string,
  ) {
    this.cursor = after;
  }

  /** True if another filter may be added. */
  fits(filter: string): boolean {
    return this.filters.size < FILTERS_MAX && [...this.filters.keys(), filter].join().length <= CHARS_MAX;
  }

  /** What is asked for. */
  get query(): string {
    const query = new URLSearchParams([...this.filters.keys()].map((filter) => ['topic', filter]));
    if (this.after) query.set('after', this.after);
    if (this.last) query.set('last', `${this.last}`);
    if (this.onSlow) query.set('on_slow', this.onSlow);
    return `${query}`;
  }

  /** The filters to which a `message` or `gap` belongs; a gap without a topic belongs to all, at whatever place. */
  heirs([, topic, position, to]: unknown[]): string[] {
    const entries = [...this.filters];
    if (typeof topic !== 'string') {
      for (const [, followed] of entries) followed.floor = undefined;
      return [...this.filters.keys()];
    }
    const segments = topic.split('.');
    const place = typeof to === 'string' && isPosition(to) ? to : position;
    const isAbove = (floor?: string) => !floor || !isAtOrBelow(String(place), floor);
    return entries.filter(([f, { floor }]) => matches(f.split('.'), segments) && isAbove(floor)).map(([f]) => f);
  }
}

/** The epoch and the seq of a position. */
function read(position: string): { epoch: string; seq: number } {
  const [epoch, seq] = position.split(':');
  return { epoch: epoch!, seq: Number(seq) };
}

function isAtOrBelow(position: string, cursor: string): boolean {
  const { epoch, seq } = read(position);
  return cursor
    .split(',')
    .map(read)
    .some((part) => part.epoch === epoch && seq <= part.seq);
}

/** The streams as one, from where the lowest stands; `undefined` if they do not compare or it were too long. */
export function merge(streams: readonly Stream[]): Stream | undefined {
  const cursors = streams.map((stream) => (stream.cursor ?? '').split(',').map(read));
  const first = cursors[0]!;
  const isOne = cursors.every(
    (parts) => parts.map(({ epoch }) => epoch).join() === first.map(({ epoch }) => epoch).join(),
  );
  const [{ onSlow }] = streams as [Stream];
  if (!isOne) return undefined;
  const lowest = first.map(({ epoch }, at) => `${epoch}:${Math.min(...cursors.map((parts) => parts[at]!.seq))}`);
  const merged = new Stream(lowest.join(), undefined, onSlow);
  for (const { cursor, filters } of streams) {
    for (const [filter, { id }] of filters) {
      if (!merged.fits(filter)) return undefined;
      merged.filters.set(filter, { id, floor: cursor === merged.after ? undefined : cursor });
    }
  }
  return merged;
}
