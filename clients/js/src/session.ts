/**
 * The client's side of the protocol without a socket, a clock or chance: what happens goes in with its time, and what
 * to do about it comes out.
 */

import { comesBack } from './code.js';
import { readFrame, type Frame, type Refusal, type Welcome } from './frame.js';
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

/** What happens to a session. */
export type Input =
  | { kind: 'begin' }
  /** The connection that was asked for stands. */
  | { kind: 'opened' }
  /** The connection is gone, or could not be made; 1006 if it said no code. */
  | { kind: 'closed'; code: number; reason: string }
  /** A frame of the broker, decoded; `undefined` if it could not be. */
  | { kind: 'frame'; frame: unknown }
  /** Something came that is no frame. */
  | { kind: 'heard' }
  /** A token came, and how long it lives; without one, it could not be fetched. */
  | { kind: 'token'; token?: string; lifetimeMs?: number }
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
  /** There was a cut; it comes back at this time. */
  | { kind: 'waiting'; untilMs: number; reason: string }
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
  /** True if the filter is followed. */
  follows(filter: string): boolean;
  /** An id for a request. */
  takeId(): number;
}

type Handlers<T, K extends keyof T> = { [V in T[K] & string]: (nowMs: number, what: Extract<T, Record<K, V>>) => void };

/** A session that has not begun; `chance` gives numbers from 0 to below 1. */
export function createSession(chance: () => number): Session {
  let status: Status = { kind: 'connecting' };
  let sinceMs = 0;
  /** When nothing heard means that the connection is dead. */
  let deadMs = Infinity;
  let goodbye: (Frame & { op: 'goodbye' }) | undefined;
  /** The wait is the broker's wish. */
  let isTold = false;
  let welcome: Welcome | undefined;
  let resume: string | undefined;
  let heartbeatMs = HEARTBEAT_MS;
  let token: string | undefined;
  /** When the next token is to be fetched. */
  let refreshMs = Infinity;
  let connectId: number | undefined;
  let tokenId: number | undefined;
  let wasRefused = false;
  const backoff = createBackoff();
  const outbox = createOutbox();
  const followers = createFollowers(outbox);
  const requests = createRequests(outbox);

  const isClosed = () => status.kind === 'closed';
  const isUp = () => outbox.isOpen || status.kind === 'connecting';

  const heard = (nowMs: number) => {
    if (outbox.isOpen) deadMs = nowMs + 2 * heartbeatMs;
  };

  const connect = (nowMs: number) => {
    status = { kind: 'connecting' };
    goodbye = undefined;
    deadMs = nowMs + CONNECT_MS;
    outbox.say({ kind: 'connect' });
  };

  const tellEnd = () => {
    const { code, reason } = status as Status & { kind: 'closed' };
    const error = new FanfareError('closed', `the client is closed: ${reason}`, undefined, code);
    followers.end(error);
    requests.end(error);
  };

  const end = (code: number, reason: string) => {
    if (isClosed()) return;
    status = { kind: 'closed', code, reason };
    outbox.isOpen = false;
    welcome = undefined;
    tellEnd();
  };

  const closed = (nowMs: number, code: number, reason: string) => {
    if (!isUp()) return;
    const afterMs = goodbye?.reconnect_after_ms;
    isTold = afterMs !== undefined;
    if (goodbye) ({ code, reason } = goodbye);
    if (!isTold && !comesBack(code)) return end(code, reason);
    const waitMs = backoff(outbox.isOpen ? nowMs - sinceMs : 0, chance());
    outbox.isOpen = false;
    welcome = undefined;
    status = { kind: 'waiting', untilMs: nowMs + (afterMs ?? waitMs), reason };
    followers.cut();
    requests.cut();
  };

  /** Drops a connection and comes back. */
  const drop = (nowMs: number, reason: string) => {
    outbox.say({ kind: 'drop' });
    closed(nowMs, 1006, reason);
  };

  const send = (nowMs: number) => {
    if (welcome) requests.send(nowMs, welcome.limits?.frame_bytes);
  };

  const tick = (nowMs: number) => {
    if (status.kind === 'waiting') {
      if (nowMs >= status.untilMs) connect(nowMs);
    } else if (isUp() && nowMs >= deadMs) {
      drop(nowMs, outbox.isOpen ? 'nothing was heard in time' : 'no connection was made in time');
    }
    if (outbox.isOpen && nowMs >= refreshMs) {
      refreshMs = nowMs + refreshAfterMs(0);
      outbox.say({ kind: 'refresh' });
    }
    followers.tick(nowMs);
  };

  const refused = (nowMs: number, id: number | undefined, filter: string | undefined, refusal: Refusal) => {
    const error = new FanfareError(refusal.code, refusal.reason, refusal.retry_after_ms);
    // A broker that knows no identities needs no tokens.
    const isNeeded = error.code !== 'unsupported';
    if (id && id === connectId) {
      // A token that does not hold is replaced by a fresh one, once.
      const mayHelp = error.retryAfterMs !== undefined || (error.code === 'unauthorized' && !wasRefused);
      wasRefused = true;
      if (isNeeded && mayHelp) drop(nowMs, error.message);
      else if (isNeeded) {
        outbox.say({ kind: 'drop', code: 1000 });
        end(1008, error.message);
      }
    } else if (id && id === tokenId) {
      if (!isNeeded) refreshMs = Infinity;
    } else if (!id || !requests.answer(id, error)) followers.refused(nowMs, id, filter, error);
    send(nowMs);
  };

  const frames: Handlers<Frame, 'op'> = {
    event: (_, { event }) => followers.happened(event),
    replay: (_, { filter, event }) => followers.replayed(filter, event),
    live: (_, { filter, cursor }) => followers.live(filter, cursor),
    ping(_, { cursor }) {
      outbox.say({ kind: 'send', frame: ['pong'] });
      followers.pinged(cursor);
    },
    ok(nowMs, { id, body }) {
      if (!requests.answer(id, body)) followers.granted(id, body.cursor);
      send(nowMs);
    },
    error: (nowMs, frame) => refused(nowMs, frame.id, undefined, frame),
    unsubscribed: (nowMs, frame) => refused(nowMs, undefined, frame.filter, frame),
    welcome(nowMs, frame) {
      welcome = frame.welcome;
      resume = welcome.resume;
      heartbeatMs = welcome.heartbeat_ms || heartbeatMs;
      if (frame.id) wasRefused = false;
      heard(nowMs);
      send(nowMs);
    },
    goodbye(_, frame) {
      goodbye = frame;
    },
  };

  const inputs: Handlers<Input, 'kind'> = {
    begin: connect,
    tick,
    heard,
    /** Everything is asked for again in one go. */
    opened(nowMs) {
      if (status.kind !== 'connecting') return;
      status = { kind: 'connected' };
      outbox.isOpen = true;
      sinceMs = nowMs;
      heard(nowMs);
      connectId = token || resume ? outbox.ask('connect', undefined, { token, resume }) : undefined;
      followers.opened();
    },
    closed: (nowMs, { code, reason }) => closed(nowMs, code, reason),
    /** One that can't be read ends the session: what it said is lost, and it would come again. */
    frame(nowMs, input) {
      if (!outbox.isOpen) return;
      heard(nowMs);
      let frame: Frame | undefined;
      try {
        frame = readFrame(input.frame);
      } catch (error) {
        outbox.say({ kind: 'drop', code: 1002 });
        return end(1002, `the broker's frame is unreadable: ${(error as Error).message}`);
      }
      if (frame) frames[frame.op](nowMs, frame as never);
    },
    token(nowMs, input) {
      refreshMs = nowMs + refreshAfterMs(input.lifetimeMs ?? 0);
      token = input.token ?? token;
      if (input.token && outbox.isOpen) tokenId = outbox.ask('token', token);
    },
    /** A link that lives is heard of within a heartbeat; a wait that is not the broker's wish becomes short. */
    wake(nowMs) {
      tick(nowMs);
      if (outbox.isOpen) deadMs = Math.min(deadMs, Math.max(deadMs - heartbeatMs, nowMs) + WAKE_MS);
      if (status.kind !== 'waiting' || isTold) return;
      status = { ...status, untilMs: Math.min(status.untilMs, nowMs + Math.floor(WAKE_MS * chance())) };
    },
    subscribe(_, { filter, options }) {
      followers.subscribe(filter, options);
      if (isClosed()) tellEnd();
    },
    unsubscribe: (_, { filter }) => followers.unsubscribe(filter),
    hold: (_, { filter }) => followers.hold(filter),
    release: (_, { filter }) => followers.release(filter),
    request(nowMs, asked) {
      requests.insert(asked);
      if (isClosed()) tellEnd();
      send(nowMs);
    },
    close() {
      if (isUp()) outbox.say({ kind: 'drop', code: 1000 });
      end(1000, 'closed by this side');
    },
  };

  return {
    handle(nowMs, input) {
      inputs[input.kind](nowMs, input as never);
      return outbox.take();
    },
    pollTimeout: () =>
      isClosed()
        ? Infinity
        : Math.min(
            status.kind === 'waiting' ? status.untilMs : deadMs,
            followers.timeoutMs(),
            outbox.isOpen ? refreshMs : Infinity,
          ),
    status: () => status,
    cursor: (filter) => followers.find(filter)?.cursor,
    follows: (filter) => !!followers.find(filter),
    takeId: outbox.takeId,
  };
}
