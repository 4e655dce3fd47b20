/** Requests whose answer somebody awaits: publishes, histories, presences. */

import { FanfareError, type OkBody } from '../outcome.js';
import type { Outbox } from './outbox.js';

/** The most requests that wait; another is refused with `limit`. */
const WAITING_MAX = 1024;
/** The most that are sent and not answered; what a broker lets wait of one session. */
const UNDER_WAY_MAX = 64;
/** A retry after this could come when the broker has forgotten the key, which it keeps for two minutes. */
const RETRY_MS = 90_000;
/** The largest frame of a broker that does not say. */
const FRAME_BYTES = 65_536;

/** A request as it is handed to a session. */
export interface Asked {
  readonly id: number;
  readonly frame: unknown[];
  /** The frame's length as it is sent. */
  readonly bytes: number;
  /** False: sent twice it could do something twice. */
  readonly isRepeatable: boolean;
}

interface Awaited extends Asked {
  /** When it was first sent. */
  sentMs?: number;
  /** It was sent over the connection that stands. */
  isUnderWay?: boolean;
}

/** None yet. */
export function createRequests(outbox: Outbox) {
  const awaited = new Map<number, Awaited>();

  /** Tells whoever asked; false if nobody did. */
  const answer = (id: number, result: OkBody | FanfareError) => {
    const isAwaited = awaited.delete(id);
    if (isAwaited) outbox.say({ kind: 'answered', id, result });
    return isAwaited;
  };

  const fail = (id: number, code: string, reason: string) => answer(id, new FanfareError(code, reason));

  const failUnclear = (id: number) => fail(id, 'unclear', 'it may have been published or not');

  return {
    answer,
    insert(asked: Asked) {
      const isFull = awaited.size >= WAITING_MAX;
      awaited.set(asked.id, { ...asked });
      if (isFull) fail(asked.id, 'limit', `${WAITING_MAX} requests wait already`);
    },
    /** Sends what is not under way, and fails what can't be sent. */
    send(nowMs: number, bytesMax = FRAME_BYTES) {
      let underWay = 0;
      for (const one of awaited.values()) {
        const { id, bytes, frame } = one;
        if (underWay++ >= UNDER_WAY_MAX) return;
        if (one.isUnderWay) continue;
        one.sentMs ??= nowMs;
        if (bytes > bytesMax) fail(id, 'too_large', `${frame[0]} has ${bytes} bytes, the limit is ${bytesMax}`);
        else if (frame[0] === 'publish' && nowMs >= one.sentMs + RETRY_MS) failUnclear(id);
        else {
          one.isUnderWay = true;
          outbox.say({ kind: 'send', frame });
        }
      }
    },
    /** The connection is gone: what was sent and can't be repeated safely fails. */
    cut() {
      for (const one of awaited.values()) {
        if (one.isUnderWay && !one.isRepeatable) failUnclear(one.id);
        one.isUnderWay = false;
      }
    },
    end(error: FanfareError) {
      for (const id of awaited.keys()) answer(id, error);
    },
  };
}
