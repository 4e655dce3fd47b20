/** All filters that are followed, and which frame belongs to which of them. */

import { replacePart } from '../cursor.js';
import type { Event } from '../event.js';
import { matches } from '../matching.js';
import type { SubscribeOptions } from '../options.js';
import type { FanfareError } from '../outcome.js';
import { isBegun, isKnown, type Followed, type Stage } from './followed.js';
import type { Outbox } from './outbox.js';

/** What a session does with its filters. */
export type Followers = ReturnType<typeof createFollowers>;

/** None yet. */
export function createFollowers(outbox: Outbox) {
  const all = new Map<string, Followed>();

  const at = (stage: Stage) => [...all.values()].filter((followed) => followed.stage === stage);

  const ask = (followed: Followed) => {
    followed.stage = 'away';
    if (!outbox.isOpen) return;
    const { filter, cursor: after, last, options } = followed;
    const { onSlow: on_slow, presence, data, echo } = options;
    followed.id = outbox.ask('subscribe', filter, { after, last, on_slow, presence, data, echo });
    followed.stage = 'asked';
  };

  const leave = (followed: Followed) => isKnown(followed) && outbox.ask('unsubscribe', followed.filter);

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

  const move = (followed: Followed, cursor = followed.cursor) => {
    followed.cursor = cursor;
    outbox.say({ kind: 'moved', filter: followed.filter, cursor });
  };

  const goLive = (followed: Followed, cursor = followed.cursor) => {
    followed.stage = 'live';
    followed.cursor = cursor;
    if (cursor) bring(followed, { kind: 'live', cursor });
  };

  /** It ended or did not begin: it is asked for again after a time, or given up. */
  const lose = (nowMs: number, followed: Followed, error: FanfareError) => {
    const { filter } = followed;
    if (error.retryAfterMs === undefined) {
      all.delete(filter);
      outbox.say({ kind: 'ended', filter, error });
    } else {
      followed.stage = 'waiting';
      followed.untilMs = nowMs + error.retryAfterMs;
    }
  };

  const begun = (filter?: string) => {
    const followed = all.get(filter!);
    return followed && isBegun(followed) ? followed : undefined;
  };

  const askedBy = (id?: number) => at('asked').find((followed) => followed.id === id);

  return {
    find: (filter: string) => all.get(filter),
    subscribe(filter: string, options: SubscribeOptions) {
      const { after: cursor, last } = options;
      const followed: Followed = { filter, segments: filter.split('.'), options, stage: 'away', cursor, last };
      all.set(filter, followed);
      ask(followed);
    },
    unsubscribe(filter: string) {
      const followed = all.get(filter);
      all.delete(filter);
      if (followed) leave(followed);
    },
    /** Leaves a filter for whose events there is no room; its cursor is kept. */
    hold(filter: string) {
      const followed = all.get(filter);
      if (!followed) return;
      leave(followed);
      followed.stage = 'held';
    },
    /** Follows a held filter again, from its cursor. */
    release(filter: string) {
      const followed = all.get(filter);
      if (followed?.stage === 'held') ask(followed);
    },
    /** Asks for everything that the broker does not know, over a connection that stands. */
    opened: () => at('away').forEach(ask),
    /** The connection is gone. */
    cut() {
      for (const followed of all.values()) if (isKnown(followed)) followed.stage = 'away';
    },
    end(error: FanfareError) {
      for (const filter of all.keys()) outbox.say({ kind: 'ended', filter, error });
      all.clear();
    },
    /** Asks again for what was told to wait until now. */
    tick(nowMs: number) {
      for (const followed of at('waiting')) if (nowMs >= followed.untilMs!) ask(followed);
    },
    /** When `tick` has something to do. */
    timeoutMs: () => Math.min(...at('waiting').map((followed) => followed.untilMs!)),
    granted(id: number, cursor: string | undefined) {
      const followed = askedBy(id);
      if (!followed) return;
      followed.stage = 'replaying';
      const isReplayed = followed.cursor || followed.last;
      followed.cursor = cursor ?? followed.cursor;
      if (!isReplayed) goLive(followed);
      else if (followed.cursor) move(followed);
    },
    /** The request of a subscription was refused, or the broker ended one. */
    refused(nowMs: number, id: number | undefined, filter: string | undefined, error: FanfareError) {
      const followed = begun(filter) ?? askedBy(id);
      if (followed) lose(nowMs, followed, error);
    },
    /** An event for all live filters that match its topic; without a topic for all live ones. */
    happened(event: Exclude<Event, { kind: 'live' }>) {
      const topic = event.topic?.split('.');
      for (const followed of at('live')) if (!topic || matches(followed.segments, topic)) bring(followed, event);
    },
    replayed(filter: string, event: Event) {
      const followed = begun(filter);
      if (followed) bring(followed, event);
    },
    /** The end of a replay; once live, it only moves the cursor. */
    live(filter: string | undefined, cursor: string) {
      const followed = begun(filter);
      if (followed) (followed.stage === 'live' ? move : goLive)(followed, cursor);
    },
    pinged: (cursor: string) => at('live').forEach((followed) => move(followed, cursor)),
  };
}
