/**
 * The client's side of the protocol without a socket, a clock or chance: what happens goes in with its time, and what
 * to do about it comes out.
 */

import { comesBack } from './code.js';
import { isCursor, isPosition } from './cursor.js';
import { entries, isArray, isCloseCode, isCount, isMap, isText, may, need, readEvent, readRefusal } from './frame.js';
import type { SubscribeOptions } from './options.js';
import { FanfareError } from './outcome.js';
import { createBackoff } from './session/backoff.js';
import { createFollowers } from './session/followers.js';
import { createOutbox, type Output } from './session/outbox.js';
import { createRequests, type Asked } from './session/requests.js';
import { refreshAfterMs } from './session/tokens.js';

export type { Asked, Output };

/** The heartbeat's interval until a broker has said its own. */
const HEARTBEAT_MS = 25_000;
/** How long making a connection may take. */
const CONNECT_MS = 20_000;
/** After waking up: how much later than it should a heartbeat may come, and the bound of a wait. */
const WAKE_MS = 5_000;

/** How much is shown of a frame that can't be read. */
const SHOWN_MAX = 99;

/** What happens to a session. */
export type Input =
  | { kind: 'begin' }
  /** The connection that was asked for stands. */
  | { kind: 'opened' }
  /** The connection is gone, or could not be made; 1006 if it said no code. */
  | { kind: 'closed'; code: number; reason: string }
  /** A frame of the broker, decoded, or what could not be. */
  | { kind: 'frame'; frame: unknown }
  /** Something came that is no frame. */
  | { kind: 'heard' }
  /** A token came, and how long it lives. */
  | { kind: 'token'; token: string; lifetimeMs: number }
  /** It may have slept, or the network changed. */
  | { kind: 'wake' }
  /** Time has passed; to be said at `timeoutMs`. */
  | { kind: 'tick' }
  | { kind: 'subscribe'; filter: string; options: SubscribeOptions }
  | { kind: 'unsubscribe' | 'hold' | 'release'; filter: string }
  | ({ kind: 'request' } & Asked)
  /** This side wants it closed. */
  | { kind: 'close' };

/** Where a session stands. */
export type Status =
  | { kind: 'connecting' }
  | { kind: 'connected' }
  /** There was a cut; it comes back so long after it said so. */
  | { kind: 'waiting'; afterMs: number; reason: string }
  /** It stays away for good. */
  | { kind: 'closed'; code: number; reason: string };

/** One client: the filters that it follows with their cursors, over any number of connections. */
export interface Session {
  /** Takes what happens at a time, in milliseconds from any beginning, and says what to do, in order. */
  handle(nowMs: number, input: Input): Output[];
  /** When `tick` has something to do; `Infinity` for never. */
  pollTimeout(): number;
  status(): Status;
  /** Where a filter stands: what to give as `after` to go on. */
  cursor(filter: string): string | undefined;
  /** An id for a request. */
  takeId(): number;
}

type InputHandlers = { [K in Input['kind']]: (input: Extract<Input, { kind: K }>) => void };
/** What is done about a frame, which begins with its op. */
type FrameHandler = (frame: any[]) => void;

/** A session that has not begun; `chance` gives numbers from 0 to below 1. */
export function createSession(chance: () => number): Session {
  /** When what is handled happened. */
  let nowMs = 0;
  let status: Status = { kind: 'connecting' };
  /** When this connection's welcome came; `Infinity` until then. */
  let sinceMs = Infinity;
  let heardMs: number;
  /** When it is time to connect, or nothing heard means that the connection is dead. */
  let dueMs = Infinity;
  let goodbye: { code: number; reason: string; afterMs: number | undefined } | undefined;
  /** The wait is the broker's wish. */
  let isTold = false;
  let isWelcome = false;
  let frameBytes: number | undefined;
  let resume: string | undefined;
  let heartbeatMs: number;
  let token: string | undefined;
  /** When the next token is to be fetched. */
  let refreshMs = Infinity;
  let connectId = 0;
  let tokenId = 0;
  let wasRefused = false;
  const backoff = createBackoff();
  const outbox = createOutbox();
  const followers = createFollowers(outbox);
  const requests = createRequests(outbox);

  const isUp = () => outbox.isOpen || status.kind === 'connecting';

  const heard = () => {
    heardMs = nowMs;
    if (outbox.isOpen) dueMs = nowMs + 2 * heartbeatMs;
  };

  const connect = () => {
    status = { kind: 'connecting' };
    goodbye = undefined;
    sinceMs = Infinity;
    dueMs = nowMs + CONNECT_MS;
    outbox.say({ kind: 'connect' });
  };

  const end = (code: number, reason: string) => {
    if (status.kind !== 'closed') status = { kind: 'closed', code, reason };
    dueMs = Infinity;
    outbox.isOpen = isWelcome = false;
  };

  /** Closes the connection with a code and ends for another. */
  const giveUp = (closeCode: number, code: number, reason: string) => {
    if (isUp()) outbox.say({ kind: 'drop', code: closeCode });
    end(code, reason);
  };

  const closed = (code: number, reason: string) => {
    if (!isUp()) return;
    const afterMs = goodbye?.afterMs;
    isTold = afterMs !== undefined;
    if (goodbye) ({ code, reason } = goodbye);
    if (!isTold && !comesBack(code)) return end(code, reason);
    const waitMs = backoff(nowMs - sinceMs, chance());
    outbox.isOpen = isWelcome = false;
    dueMs = nowMs + (afterMs ?? waitMs);
    status = { kind: 'waiting', afterMs: dueMs - nowMs, reason };
    followers.cut();
    requests.cut();
  };

  /** Drops a connection and comes back. */
  const drop = (reason: string) => {
    outbox.say({ kind: 'drop' });
    closed(1006, reason);
  };

  const send = () => {
    if (isWelcome) requests.send(nowMs, frameBytes);
  };

  const tick = () => {
    if (nowMs >= dueMs) {
      if (isUp()) drop(`${outbox.isOpen ? 'nothing heard' : 'no connection'} in time`);
      else connect();
    }
    if (outbox.isOpen && nowMs >= refreshMs) {
      refreshMs = nowMs + refreshAfterMs(0);
      outbox.say({ kind: 'refresh' });
    }
    followers.tick(nowMs);
  };

  const refused = (error: FanfareError, id = -1, filter?: string) => {
    // A broker that knows no identities needs no tokens.
    const isNeeded = error.code !== 'unsupported';
    if (id === connectId) {
      // A token that does not hold is replaced by a fresh one, once.
      const mayHelp = error.retryAfterMs !== undefined || (error.code === 'unauthorized' && !wasRefused);
      wasRefused = true;
      if (isNeeded && mayHelp) drop(error.message);
      else if (isNeeded) giveUp(1000, 1008, error.message);
    } else if (id === tokenId) {
      if (!isNeeded) refreshMs = Infinity;
    } else if (!requests.answer(id, error)) followers.refused(nowMs, error, id, filter);
  };

  const event: FrameHandler = (frame) => followers.happened(readEvent(frame)!);
  const presence: FrameHandler = ([kind, topic, extra]) =>
    followers.happened({ ...entries(extra), kind, topic: need(topic, isText) });

  const frames: Record<string, FrameHandler> = {
    // No op is the name of what every object has.
    __proto__: null as never,
    message: event,
    gap: event,
    join: presence,
    leave: presence,
    replay([, filter, frame]) {
      const event = readEvent(frame);
      if (event) followers.replayed(need(filter, isText), event);
    },
    live: ([, filter, cursor]) => followers.live(may(filter, isText), need(cursor, isCursor)),
    ping([, cursor]) {
      need(cursor, isCursor);
      outbox.say({ kind: 'send', frame: ['pong'] });
      followers.pinged(cursor);
    },
    ok([, id, extra]) {
      const body = entries(extra, { cursor: isCursor, position: isPosition, frames: isArray });
      body.frames &&= body.frames.flatMap((frame: unknown) => readEvent(frame) ?? []);
      if (!requests.answer(need(id, isCount), body)) followers.granted(id, body.cursor);
    },
    error: (frame) => refused(readRefusal(frame), may(frame[1], isCount)),
    unsubscribed: (frame) => refused(readRefusal(frame), undefined, need(frame[1], isText)),
    welcome([, id, extra]) {
      const { limits, heartbeat_ms, resume: told } = entries(extra, { heartbeat_ms: isCount, limits: isMap });
      isWelcome = true;
      sinceMs = nowMs;
      resume = told;
      frameBytes = limits?.frame_bytes;
      heartbeatMs = heartbeat_ms || heartbeatMs;
      if (may(id, isCount)) wasRefused = false;
      heard();
    },
    goodbye([, code, reason, extra]) {
      const { reconnect_after_ms: afterMs } = entries(extra, { reconnect_after_ms: isCount });
      goodbye = { code: need(code, isCloseCode), reason: `${reason ?? ''}`, afterMs };
    },
  };

  const inputs: InputHandlers = {
    begin: connect,
    tick,
    heard,
    /** Everything is asked for again in one go. */
    opened() {
      if (status.kind !== 'connecting') return;
      status = { kind: 'connected' };
      outbox.isOpen = true;
      heartbeatMs = HEARTBEAT_MS;
      heard();
      connectId = token || resume ? outbox.ask('connect', undefined, { token, resume }) : 0;
      followers.opened();
    },
    closed: ({ code, reason }) => closed(code, reason),
    /** One that can't be read ends the session: what it said is lost, and it would come again. */
    frame(input) {
      if (!outbox.isOpen) return;
      heard();
      try {
        const frame = need(input.frame, isArray);
        frames[need(frame[0], isText)]?.(frame);
        send();
      } catch {
        giveUp(1002, 1002, `unreadable frame: ${`${JSON.stringify(input.frame)}`.slice(0, SHOWN_MAX)}`);
      }
    },
    token(input) {
      refreshMs = nowMs + refreshAfterMs(input.lifetimeMs);
      token = input.token;
      if (outbox.isOpen) tokenId = outbox.ask('token', token);
    },
    /** A link that lives is heard of within a heartbeat; a wait that is not the broker's wish becomes short. */
    wake() {
      tick();
      if (outbox.isOpen) dueMs = Math.min(dueMs, Math.max(heardMs + heartbeatMs, nowMs) + WAKE_MS);
      if (status.kind !== 'waiting' || isTold) return;
      dueMs = Math.min(dueMs, nowMs + WAKE_MS * chance());
      status = { ...status, afterMs: dueMs - nowMs };
    },
    ...followers.inputs,
    request(asked) {
      requests.insert(asked);
      send();
    },
    close: () => giveUp(1000, 1000, 'closed by this side'),
  };

  return {
    handle(atMs, input) {
      nowMs = atMs;
      inputs[input.kind](input as never);
      if (status.kind === 'closed') {
        const error = new FanfareError('closed', `the client is closed: ${status.reason}`, undefined, status.code);
        followers.end(error);
        requests.end(error);
      }
      return outbox.take();
    },
    pollTimeout: () => Math.min(dueMs, followers.timeoutMs(), outbox.isOpen ? refreshMs : Infinity),
    status: () => status,
    cursor: (filter) => followers.find(filter)?.cursor,
    takeId: outbox.takeId,
  };
}
