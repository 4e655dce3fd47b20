/** A small broker with one partition: what it keeps, and what a connection to it would bring. */

import { matches } from '../../src/matching.js';

interface Kept {
  last: number;
  messages: { seq: number; prev: number }[];
}

interface Following {
  isLive: boolean;
  cursor: number;
  told: Map<string, number>;
}

export const position = (seq: number) => `0.k:${seq}`;
export const seqOf = (cursor: string | undefined) => Number(cursor?.split(':')[1] ?? 0);
export const isHit = (filter: string, topic: string) => matches(filter.split('.'), topic.split('.'));

const message = (seq: number, topic: string) => ['message', topic, position(seq), seq];
const gap = (topic: string | null, from: number, to: number) => ['gap', topic, position(from), position(to)];

/** All that was ever published, and what is kept of it. */
export class Log {
  readonly all: { seq: number; topic: string }[] = [];
  readonly #topics = new Map<string, Kept>();
  #floor = 0;

  get newest(): number {
    return this.all.length;
  }

  publish(topic: string, keep: number): number {
    const seq = this.newest + 1;
    this.all.push({ seq, topic });
    const kept = this.#topics.get(topic) ?? { last: 0, messages: [] };
    this.#topics.set(topic, kept);
    kept.messages.push({ seq, prev: kept.last });
    kept.last = seq;
    kept.messages.splice(0, kept.messages.length - keep);
    return seq;
  }

  /** A topic without history is forgotten: that raises the floor. */
  forget(topic: string): void {
    const kept = this.#topics.get(topic);
    if (!kept || kept.messages.length) return;
    this.#topics.delete(topic);
    this.#floor = Math.max(this.#floor, kept.last);
  }

  /** The newest so many of each topic, in order. */
  newestOf(filter: string, last: number, atMost: number): { seq: number; topic: string }[] {
    const found = this.#matching(filter).flatMap(([topic, { messages }]) =>
      (last ? messages.filter(({ seq }) => seq <= atMost).slice(-last) : []).map(({ seq }) => ({ seq, topic })),
    );
    return found.sort((a, b) => a.seq - b.seq);
  }

  /** The next frame of a replay; `undefined` if it has caught up. */
  next(filter: string, { cursor, told }: Following): unknown[] | undefined {
    if (cursor < this.#floor && !this.#topics.has(filter)) return gap(null, cursor, this.#floor);
    let oldest: { seq: number; topic: string } | undefined;
    for (const [topic, kept] of this.#matching(filter)) {
      if (kept.last <= cursor) continue;
      const first = kept.messages.find(({ seq }) => seq > cursor);
      const hole = first ? first.prev : kept.last;
      if (hole > Math.max(cursor, told.get(topic) ?? 0)) return gap(topic, cursor, hole);
      if (first && first.seq < (oldest?.seq ?? Infinity)) oldest = { seq: first.seq, topic };
    }
    return oldest && message(oldest.seq, oldest.topic);
  }

  #matching(filter: string): [string, Kept][] {
    return [...this.#topics].filter(([topic]) => isHit(filter, topic));
  }
}

/** The broker's end of one connection. */
export class Connection {
  readonly requests: any[][] = [];
  readonly frames: any[][] = [];
  readonly #following = new Map<string, Following>();

  constructor(readonly log: Log) {}

  /** Answers the next request. */
  answer(): void {
    const [op, id, filter, { after, last } = {} as any] = this.requests.shift() ?? [];
    if (op === 'unsubscribe') {
      if (!this.#following.delete(filter)) throw new Error(`${filter} is not followed`);
      this.frames.push(['ok', id, {}]);
    } else if (op === 'subscribe') {
      if (this.#following.has(filter)) throw new Error(`${filter} is followed twice`);
      const cursor = after ? seqOf(after) : this.log.newest;
      this.frames.push(['ok', id, { cursor: position(cursor) }]);
      for (const { seq, topic } of this.log.newestOf(filter, last ?? 0, cursor)) {
        this.frames.push(['replay', filter, message(seq, topic)]);
      }
      this.#following.set(filter, { isLive: !after && !last, cursor, told: new Map() });
    }
  }

  published(seq: number, topic: string): void {
    const isWanted = [...this.#following].some(([filter, { isLive }]) => isLive && isHit(filter, topic));
    if (isWanted) this.frames.push(message(seq, topic));
  }

  /** Goes on with the replay of a filter. */
  replay(filter: string): void {
    const following = this.#following.get(filter);
    if (!following || following.isLive) return;
    const frame = this.log.next(filter, following);
    if (!frame) {
      following.isLive = true;
      this.frames.push(['live', filter, position(this.log.newest)]);
      return;
    }
    const [op, topic, from, to] = frame as [string, string | null, string, string];
    if (op === 'message') following.cursor = seqOf(from);
    else if (topic === null) following.cursor = seqOf(to);
    else following.told.set(topic, seqOf(to));
    this.frames.push(['replay', filter, frame]);
  }

  ping(): void {
    this.frames.push(['ping', position(this.log.newest)]);
  }

  /** Drops the oldest live messages that wait: a gap stands for them. */
  drop(atMost: number): void {
    const run = this.frames.findIndex(([op], at) => op !== 'message' || at === atMost);
    const dropped = this.frames.splice(0, run < 0 ? Math.min(atMost, this.frames.length) : run);
    if (dropped.length) this.frames.unshift(gap(null, seqOf(dropped[0]![2]) - 1, seqOf(dropped.at(-1)![2])));
  }
}
