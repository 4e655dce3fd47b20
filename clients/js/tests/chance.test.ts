/**
 * The session against a small broker in many orders of events: whatever is cut, dropped, held and forgotten, each
 * filter gets everything once and in order, or is told what it misses.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSession, type Input } from '../src/session.js';
import { Connection, isHit, Log, position, seqOf } from './support/log.js';

const TOPICS = ['t.a', 't.b', 't.c', 'u.a', 'u.b', 'u.c'];
const FILTERS = ['t.a', 't.b', 't.*', 'u.*', '*.a', '>'];

/** What one filter was given. */
interface Follower {
  got: number[];
  gaps: { topic: string | undefined; from: number; to: number }[];
  start?: number;
  cursor?: string | undefined;
  isHeld?: boolean;
}

class World {
  readonly log = new Log();
  readonly session = createSession(() => 0);
  readonly followers = new Map<string, Follower>();
  readonly keep: Map<string, number>;
  connection = new Connection(this.log);
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 2_654_435_761) >>> 0 || 1;
    this.keep = new Map(TOPICS.map((topic) => [topic, [0, 1, 3, 50][this.below(4)]!]));
    this.tell({ kind: 'begin' });
  }

  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 3) % bound;
  }

  /** Tells the session, and does what it says. */
  tell(input: Input): void {
    for (const output of this.session.handle(0, input)) {
      if (output.kind === 'connect') {
        this.connection = new Connection(this.log);
        this.tell({ kind: 'opened' });
      } else if (output.kind === 'send') this.connection.requests.push(JSON.parse(JSON.stringify(output.frame)));
      else if (output.kind === 'event' || output.kind === 'moved') {
        const follower = this.followers.get(output.filter)!;
        assert.ok(!follower.isHeld, `${output.filter} is held`);
        if (output.kind === 'event') this.take(output.filter, follower, output.event as never);
        follower.cursor = output.cursor;
        follower.start ??= seqOf(output.cursor);
      } else assert.fail(`${output.kind} does not happen here`);
    }
    for (const [filter, { cursor }] of this.followers) assert.equal(this.session.cursor(filter), cursor, filter);
  }

  take(
    filter: string,
    follower: Follower,
    event: { kind: string; topic?: string; position: string; to: string },
  ): void {
    if (event.kind === 'message') {
      const seq = seqOf(event.position);
      assert.ok(seq > (follower.got.at(-1) ?? 0), `${filter} gets ${seq} after ${follower.got}`);
      assert.ok(isHit(filter, event.topic!), `${filter} gets ${event.topic}`);
      follower.got.push(seq);
    } else if (event.kind === 'gap') {
      follower.gaps.push({ topic: event.topic, from: seqOf(follower.cursor), to: seqOf(event.to) });
    }
  }

  step(): void {
    const topic = TOPICS[this.below(TOPICS.length)]!;
    const filter = FILTERS[this.below(FILTERS.length)]!;
    const [few, dice] = [1 + this.below(4), this.below(100)];
    const follower = this.followers.get(filter);
    if (dice < 30) this.connection.published(this.log.publish(topic, this.keep.get(topic)!), topic);
    else if (dice < 40) this.connection.answer();
    else if (dice < 58) for (let count = 0; count < few; count++) this.bring();
    else if (dice < 74) this.connection.replay(filter);
    else if (dice < 80) {
      if (follower) return;
      this.followers.set(filter, { got: [], gaps: [] });
      this.tell({ kind: 'subscribe', filter, options: { last: [undefined, undefined, 1, 2][few - 1] } });
    } else if (dice < 82) this.connection.ping();
    else if (dice < 85) {
      if (this.followers.delete(filter)) this.tell({ kind: 'unsubscribe', filter });
    } else if (dice < 89) this.cut();
    else if (dice < 92) this.connection.drop(few);
    else if (dice < 95) {
      // Only what has begun can be too much.
      if (follower?.start === undefined) return;
      follower.isHeld = true;
      this.tell({ kind: 'hold', filter });
    } else if (dice < 98) this.release(filter);
    else this.log.forget(topic);
  }

  /** The next frame comes. */
  bring(): void {
    const frame = this.connection.frames.shift();
    if (frame) this.tell({ kind: 'frame', frame });
  }

  release(filter: string): void {
    const follower = this.followers.get(filter);
    if (!follower?.isHeld) return;
    follower.isHeld = false;
    this.tell({ kind: 'release', filter });
  }

  cut(): void {
    this.check();
    this.tell({ kind: 'closed', code: 1006, reason: 'cut' });
    this.tell({ kind: 'tick' });
  }

  check(): void {
    for (const [filter, { start, cursor, got, gaps }] of this.followers) {
      if (start === undefined) continue;
      for (const { seq, topic } of this.log.all.slice(start, seqOf(cursor))) {
        const isTold = gaps.some((gap) => (gap.topic ?? topic) === topic && seq > gap.from && seq <= gap.to);
        assert.ok(!isHit(filter, topic) || got.includes(seq) || isTold, `${filter} misses ${seq} silently`);
      }
    }
  }

  /** Lets everything come that is still to come: then each filter has reached what it matches. */
  settle(): void {
    for (const filter of FILTERS) this.release(filter);
    this.cut();
    for (let turns = 0; turns < 2_000; turns++) {
      this.connection.answer();
      for (const filter of FILTERS) this.connection.replay(filter);
      if (!this.connection.requests.length && !this.connection.frames.length) break;
      this.bring();
    }
    assert.deepEqual([this.connection.requests.length, this.connection.frames.length], [0, 0], 'it comes to rest');
    this.check();
    for (const [filter, { start, cursor }] of this.followers) {
      assert.notEqual(start, undefined, `${filter} has begun`);
      const newest = this.log.all.filter(({ topic }) => isHit(filter, topic)).at(-1);
      if (newest && newest.seq > start!) assert.ok(seqOf(cursor) >= newest.seq, `${filter} stands at ${cursor}`);
    }
  }
}

test('whatever happens each filter gets everything once in order or is told', () => {
  for (let seed = 1; seed <= 500; seed++) {
    try {
      const world = new World(seed);
      for (let steps = 40 + world.below(300); steps > 0; steps--) world.step();
      world.settle();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

test('the small broker tells of what it does not keep', () => {
  const log = new Log();
  for (const keep of [1, 1, 1]) log.publish('t.a', keep);
  const following = { isLive: false, cursor: 0, told: new Map<string, number>() };
  assert.deepEqual(log.next('t.a', following), ['gap', 't.a', position(0), position(2)]);
});
