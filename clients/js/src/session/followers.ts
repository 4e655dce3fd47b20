/** All filters that are followed, and which frame belongs to which of them. */

import { replacePart } from '../cursor.js';
import type { Event } from '../event.js';
import { matches } from '../matching.js';
import type { SubscribeOptions } from '../options.js';
import type { FanfareError } from '../outcome.js';
import type { Outbox } from './outbox.js';

/** There is no connection. */
const AWAY = 0;
/** The broker said to ask again later. */
const WAITING = 1;
/** There was no room for what came. */
const HELD = 2;
/** What comes before the answer is of an earlier subscription. */
const ASKED = 3;
/** From here on frames that name the filter are its own. */
const REPLAYING = 4;
const LIVE = 5;

/** A filter that somebody follows. */
interface Followed {
  readonly filter: string;
  readonly segments: readonly string[];
  readonly options: SubscribeOptions;
  /** What the broker knows of it: below `ASKED` nothing. */
  stage: number;
  cursor: string | undefined;
  /** What is still to be asked for: nothing of it has come. */
  last: number | undefined;
  /** Of `ASKED`: the request. */
  id?: number;
  /** Of `WAITING`: when it is asked for again. */
  untilMs?: number;
}

/** What a session does with its filters. */
export type Followers = ReturnType<typeof createFollowers>;

/** None yet. */
export function createFollowers(outbox: Outbox) {
  const all = new Map<string, Followed>();

  const at = (stage: number) => [...all.values()].filter((followed) => followed.stage === stage);

  const ask = (followed: Followed) => {
    followed.stage = AWAY;
    if (!outbox.isOpen) return;
    const { filter, cursor: after, last, options } = followed;
    const { onSlow: on_slow, presence, data, echo } = options;
    followed.id = outbox.ask('subscribe', filter, { after, last, on_slow, presence, data, echo });
    followed.stage = ASKED;
  };

  /** Leaves a filter for whose events there is no room; its cursor is kept. */
  const hold = ({ filter }: { filter: string }) => {
    const followed = all.get(filter);
    if (!followed) return;
    if (followed.stage >= ASKED) outbox.ask('unsubscribe', filter);
    followed.stage = HELD;
  };

  /** Hands over an event: a message and a gap without a topic move their partition's part, even backwards. */
  const bring = (followed: Followed, event: Event) => {
    const { filter } = followed;
    const isMessage = event.kind === 'message';
    if (isMessage || event.kind === 'live') followed.last = undefined;
    if (isMessage || (event.kind === 'gap' && event.topic === undefined)) {
      followed.cursor = replacePart(followed.cursor, isMessage ? event.position : event.to);
    }
    outbox.say({ kind: 'event', filter, event, cursor: followed.cursor });
  };

  const move = (followed: Followed, cursor: string) => {
    followed.cursor = cursor;
    outbox.say({ kind: 'moved', filter: followed.filter, cursor });
  };

  const goLive = (followed: Followed, cursor?: string) => {
    followed.stage = LIVE;
    followed.cursor = cursor;
    if (cursor) bring(followed, { kind: 'live', cursor });
  };

  const begun = (filter?: string) => {
    const followed = all.get(filter!);
    return followed && followed.stage >= REPLAYING ? followed : undefined;
  };

  const askedBy = (id: number) => at(ASKED).find((followed) => followed.id === id);

  return {
    find: (filter: string) => all.get(filter),
    /** What is done about what its owner says of a filter. */
    inputs: {
      subscribe({ filter, options }: { filter: string; options: SubscribeOptions }) {
        const { after: cursor, last } = options;
        const followed: Followed = { filter, segments: filter.split('.'), options, stage: AWAY, cursor, last };
        all.set(filter, followed);
        ask(followed);
      },
      unsubscribe(named: { filter: string }) {
        hold(named);
        all.delete(named.filter);
      },
      hold,
      /** Follows a held filter again, from its cursor. */
      release({ filter }: { filter: string }) {
        const followed = all.get(filter);
        if (followed?.stage === HELD) ask(followed);
      },
    },
    /** Asks for everything that the broker does not know, over a connection that stands. */
    opened: () => at(AWAY).forEach(ask),
    /** The connection is gone. */
    cut() {
      for (const followed of all.values()) if (followed.stage >= ASKED) followed.stage = AWAY;
    },
    end(error: FanfareError) {
      for (const filter of all.keys()) outbox.say({ kind: 'ended', filter, error });
      all.clear();
    },
    /** Asks again for what was told to wait until now. */
    tick(nowMs: number) {
      for (const followed of at(WAITING)) if (nowMs >= followed.untilMs!) ask(followed);
    },
    /** When `tick` has something to do. */
    timeoutMs: () => Math.min(...at(WAITING).map((followed) => followed.untilMs!)),
    granted(id: number, cursor: string | undefined) {
      const followed = askedBy(id);
      if (!followed) return;
      followed.stage = REPLAYING;
      const isReplayed = followed.cursor || followed.last;
      if (!isReplayed) goLive(followed, cursor);
      else if (cursor) move(followed, cursor);
    },
    /** A filter's request was refused, or the broker ended one: it is asked for again after a time, or given up. */
    refused(nowMs: number, error: FanfareError, id: number, named?: string) {
      const followed = begun(named) ?? askedBy(id);
      if (!followed) return;
      const { filter } = followed;
      followed.stage = WAITING;
      followed.untilMs = nowMs + error.retryAfterMs!;
      if (error.retryAfterMs !== undefined) return;
      all.delete(filter);
      outbox.say({ kind: 'ended', filter, error });
    },
    /** An event for all live filters that match its topic; without a topic for all live ones. */
    happened(event: Exclude<Event, { kind: 'live' }>) {
      const topic = event.topic?.split('.');
      for (const followed of at(LIVE)) if (!topic || matches(followed.segments, topic)) bring(followed, event);
    },
    replayed(filter: string, event: Event) {
      const followed = begun(filter);
      if (followed) bring(followed, event);
    },
    /** The end of a replay; once live, it only moves the cursor. */
    live(filter: string | undefined, cursor: string) {
      const followed = begun(filter);
      if (followed) (followed.stage === LIVE ? move : goLive)(followed, cursor);
    },
    pinged: (cursor: string) => at(LIVE).forEach((followed) => move(followed, cursor)),
  };
}
