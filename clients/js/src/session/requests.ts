/** Requests whose answer somebody awaits: publishes, histories, presences. */

import type { OkBody } from '../frame.js';
import { FanfareError } from '../outcome.js';
import type { Outbox } from './output.js';

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

const unclear = () =>
  new FanfareError('unclear', 'it may have been published or not: the connection broke before the answer');

/** Requests by their id. */
export class Requests {
  readonly #awaited = new Map<number, Awaited>();

  constructor(readonly outbox: Outbox) {}

  insert(asked: Asked): void {
    if (this.#awaited.size >= WAITING_MAX) {
      const error = new FanfareError('limit', `${WAITING_MAX} requests wait for their answers already`);
      this.outbox.say({ kind: 'answered', id: asked.id, result: error });
    } else this.#awaited.set(asked.id, { ...asked });
  }

  /** Sends what is not under way, and fails what can't be sent. */
  send(nowMs: number, bytesMax = FRAME_BYTES): void {
    let underWay = 0;
    for (const awaited of this.#awaited.values()) {
      if (!awaited.isUnderWay) {
        awaited.sentMs ??= nowMs;
        if (awaited.bytes > bytesMax) {
          const reason = `${awaited.frame[0]} has ${awaited.bytes} bytes, the limit is ${bytesMax}`;
          this.answered(awaited.id, new FanfareError('too_large', reason));
          continue;
        }
        if (awaited.frame[0] === 'publish' && nowMs >= awaited.sentMs + RETRY_MS) {
          this.answered(awaited.id, unclear());
          continue;
        }
        awaited.isUnderWay = true;
        this.outbox.send(awaited.frame);
      }
      if (++underWay >= UNDER_WAY_MAX) return;
    }
  }

  /** Tells whoever asked; false if nobody did. */
  answered(id: number, result: OkBody | FanfareError): boolean {
    const isAwaited = this.#awaited.delete(id);
    if (isAwaited) this.outbox.say({ kind: 'answered', id, result });
    return isAwaited;
  }

  /** The connection is gone: what was sent and can't be repeated safely fails. */
  cut(): void {
    for (const awaited of this.#awaited.values()) {
      if (awaited.isUnderWay && !awaited.isRepeatable) this.answered(awaited.id, unclear());
      awaited.isUnderWay = false;
    }
  }

  end(error: FanfareError): void {
    for (const id of this.#awaited.keys()) this.answered(id, error);
  }
}
