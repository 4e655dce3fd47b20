/** One stream of server-sent events: the filters on it, and how several become one. */

import { parsePosition } from '../cursor.js';
import { matches } from '../matching.js';

/** The most characters of the filters of one stream: a URL has to fit a request's head. */
const CHARS_MAX = 6_000;

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
  ) {
    this.cursor = after;
  }

  /** True if another filter may be added. */
  fits(filter: string): boolean {
    return [...this.filters.keys(), filter].join().length <= CHARS_MAX;
  }

  /** What is asked for. */
  get query(): string {
    const query = new URLSearchParams([...this.filters.keys()].map((filter) => ['topic', filter]));
    if (this.after) query.set('after', this.after);
    if (this.last) query.set('last', `${this.last}`);
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
    const place = typeof to === 'string' && parsePosition(to) ? to : position;
    const isAbove = (floor?: string) => !floor || !isAtOrBelow(String(place), floor);
    return entries.filter(([f, { floor }]) => matches(f.split('.'), segments) && isAbove(floor)).map(([f]) => f);
  }
}

function isAtOrBelow(position: string, cursor: string): boolean {
  const place = parsePosition(position);
  const parts = cursor.split(',').map((part) => parsePosition(part));
  return parts.some((part) => part?.partition === place?.partition && part?.life === place?.life && place!.seq <= part!.seq);
}

/** The streams as one, from where the lowest stands; `undefined` if their cursors do not compare or it were too long. */
export function merge(streams: readonly Stream[]): Stream | undefined {
  const cursors = streams.map((stream) => (stream.cursor ?? '').split(','));
  const lowest = cursors[0]!.map((first, at) => {
    const places = cursors.map((parts) => parsePosition(parts[at] ?? ''));
    const isOne = cursors.every((parts) => parts.length === cursors[0]!.length && parts[at]!.split(':')[0] === first.split(':')[0]);
    return isOne ? `${first.split(':')[0]}:${Math.min(...places.map((place) => place?.seq ?? NaN))}` : 'none';
  });
  if (!lowest.every(parsePosition)) return undefined;
  const merged = new Stream(lowest.join());
  for (const { cursor, filters } of streams) {
    for (const [filter, { id }] of filters) {
      if (!merged.fits(filter)) return undefined;
      merged.filters.set(filter, { id, floor: cursor === merged.after ? undefined : cursor });
    }
  }
  return merged;
}
