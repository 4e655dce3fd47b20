/**
 * The client's side of the protocol without a socket, a clock or chance: what happens goes in with its time, and what
 * to do about it comes out.
 */

import { comesBack } from './code.js';
import { readFrame, type Frame, type Welcome } from './frame.js';
import type { SubscribeOptions } from './options.js';
import { request } from './options.js';
import { FanfareError } from './outcome.js';
import { Backoff } from './session/backoff.js';
import { Followers } from './session/followers.js';
import { Outbox, type Output } from './session/output.js';
import { Requests, type Asked } from './session/requests.js';
import { Tokens } from './session/tokens.js';

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
  | { kind: 'token'; token?: string | undefined; lifetimeMs?: number | undefined }
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

interface Link {
  /** When it was asked for, or opened. */
  sinceMs: number;
  /** When nothing heard means that it is dead. */
  deadMs: number;
  goodbye?: Frame & { op: 'goodbye' };
}

/** One client: the filters that it follows with their cursors, over any number of connections. */
export class Session {
  #status: Status = { kind: 'connecting' };
  #link: Link = { sinceMs: 0, deadMs: Infinity };
  /** The wait is the broker's wish. */
  #isTold = false;
  #welcome: Welcome | undefined;
  #resume: string | undefined;
  #heartbeatMs = HEARTBEAT_MS;
  #connectId = 0;
  #tokenId = 0;
  #isRefused = false;
  readonly #backoff = new Backoff();
  readonly #outbox = new Outbox();
  readonly #followers = new Followers(this.#outbox);
  readonly #requests = new Requests(this.#outbox);
  readonly #tokens = new Tokens();

  /** `chance` gives numbers from 0 to below 1. */
  constructor(readonly chance: () => number) {}

  /** Takes what happens at a time, in milliseconds from any beginning, and says what to do, in order. */
  handle(nowMs: number, input: Input): Output[] {
    switch (input.kind) {
      case 'begin':
        this.#connect(nowMs);
        break;
      case 'opened':
        this.#opened(nowMs);
        break;
      case 'closed':
        this.#closed(nowMs, input.code, input.reason);
        break;
      case 'frame':
        if (this.#outbox.isOpen) this.#frame(nowMs, input.frame);
        break;
      case 'heard':
        this.#heard(nowMs);
        break;
      case 'token':
        this.#token(nowMs, input.token, input.lifetimeMs);
        break;
      case 'wake':
        this.#wake(nowMs);
        break;
      case 'tick':
        this.#tick(nowMs);
        break;
      case 'subscribe':
        if (this.#isClosed) this.#outbox.say({ kind: 'ended', filter: input.filter, error: this.#error() });
        else this.#followers.subscribe(input.filter, input.options);
        break;
      case 'request':
        this.#requests.insert(input);
        if (this.#isClosed) this.#requests.end(this.#error());
        this.#send(nowMs);
        break;
      case 'close':
        if (this.#outbox.isOpen || this.#status.kind === 'connecting') this.#outbox.say({ kind: 'close', code: 1000 });
        this.#end(1000, 'closed by this side');
        break;
      default:
        this.#followers[input.kind](input.filter);
    }
    return this.#outbox.take();
  }

  /** When `tick` has something to do; `Infinity` for never. */
  get timeoutMs(): number {
    const { kind } = this.#status;
    if (kind === 'closed') return Infinity;
    const link = this.#status.kind === 'waiting' ? this.#status.untilMs : this.#link.deadMs;
    return Math.min(link, this.#followers.timeoutMs, this.#outbox.isOpen ? this.#tokens.dueMs : Infinity);
  }

  /** Where it stands. */
  get status(): Status {
    return this.#status;
  }

  /** What the broker said of itself, on this connection. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** Where a filter stands: what to give as `after` to go on; `undefined` too if it is not followed. */
  cursor(filter: string): string | undefined {
    return this.#followers.find(filter)?.cursor;
  }

  /** True if the filter is followed. */
  follows(filter: string): boolean {
    return !!this.#followers.find(filter);
  }

  /** An id for a request. */
  takeId(): number {
    return this.#outbox.takeId();
  }

  get #isClosed(): boolean {
    return this.#status.kind === 'closed';
  }

  #error(): FanfareError {
    const { code, reason } = this.#status as Status & { kind: 'closed' };
    return new FanfareError('closed', `the client is closed: ${reason}`, undefined, code);
  }

  #connect(nowMs: number): void {
    this.#status = { kind: 'connecting' };
    this.#link = { sinceMs: nowMs, deadMs: nowMs + CONNECT_MS };
    this.#outbox.say({ kind: 'connect' });
  }

  /** Everything is asked for again in one go. */
  #opened(nowMs: number): void {
    if (this.#status.kind !== 'connecting') return;
    this.#status = { kind: 'connected' };
    this.#outbox.isOpen = true;
    this.#link.sinceMs = nowMs;
    this.#heard(nowMs);
    const [token, resume] = [this.#tokens.current, this.#resume];
    if (token || resume) {
      this.#connectId = this.#outbox.takeId();
      this.#outbox.send(request('connect', this.#connectId, [], { token, resume }));
    }
    this.#followers.opened();
  }

  #closed(nowMs: number, code: number, reason: string): void {
    if (!this.#outbox.isOpen && this.#status.kind !== 'connecting') return;
    if (this.#outbox.isOpen) this.#backoff.connectedFor(nowMs - this.#link.sinceMs);
    const { goodbye } = this.#link;
    const afterMs = goodbye?.reconnect_after_ms;
    ({ code, reason } = goodbye ?? { code, reason });
    if (afterMs === undefined && !comesBack(code)) return this.#end(code, reason);
    this.#outbox.isOpen = false;
    this.#welcome = undefined;
    const backoffMs = this.#backoff.nextMs(this.chance());
    this.#isTold = afterMs !== undefined;
    this.#status = { kind: 'waiting', untilMs: nowMs + (afterMs ?? backoffMs), reason };
    this.#followers.cut();
    this.#requests.cut();
  }

  /** Drops a connection and comes back. */
  #drop(nowMs: number, reason: string): void {
    this.#outbox.say({ kind: 'close' });
    this.#closed(nowMs, 1006, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#status = { kind: 'closed', code, reason };
    this.#outbox.isOpen = false;
    this.#welcome = undefined;
    this.#followers.end(this.#error());
    this.#requests.end(this.#error());
  }

  #tick(nowMs: number): void {
    if (this.#status.kind === 'waiting' && nowMs >= this.#status.untilMs) this.#connect(nowMs);
    else if (!this.#isClosed && this.#status.kind !== 'waiting' && nowMs >= this.#link.deadMs) {
      const what = this.#outbox.isOpen ? 'nothing was heard' : 'no connection was made';
      this.#drop(nowMs, `${what} in time`);
    }
    if (this.#outbox.isOpen && nowMs >= this.#tokens.dueMs) {
      this.#tokens.take(nowMs);
      this.#outbox.say({ kind: 'token' });
    }
    this.#followers.tick(nowMs);
  }

  /** A link that lives is heard of within a heartbeat; a wait that is not the broker's wish becomes short. */
  #wake(nowMs: number): void {
    this.#tick(nowMs);
    if (this.#outbox.isOpen) {
      const earlier = Math.max(this.#link.deadMs - this.#heartbeatMs, nowMs) + WAKE_MS;
      this.#link.deadMs = Math.min(this.#link.deadMs, earlier);
    } else if (this.#status.kind === 'waiting' && !this.#isTold) {
      this.#status.untilMs = Math.min(this.#status.untilMs, nowMs + Math.floor(WAKE_MS * this.chance()));
    }
  }

  #heard(nowMs: number): void {
    if (this.#outbox.isOpen) this.#link.deadMs = nowMs + 2 * this.#heartbeatMs;
  }

  #token(nowMs: number, token?: string, lifetimeMs?: number): void {
    this.#tokens.take(nowMs, token, lifetimeMs);
    if (token === undefined || !this.#outbox.isOpen) return;
    this.#tokenId = this.#outbox.takeId();
    this.#outbox.send(request('token', this.#tokenId, [token]));
  }

  #send(nowMs: number): void {
    if (this.#welcome) this.#requests.send(nowMs, this.#welcome.limits['frame_bytes']);
  }

  /** One that can't be read ends the session: what it said is lost, and it would come again. */
  #frame(nowMs: number, value: unknown): void {
    this.#heard(nowMs);
    let frame;
    try {
      frame = readFrame(value);
    } catch (error) {
      this.#outbox.say({ kind: 'close', code: 1002 });
      return this.#end(1002, `the broker's frame is unreadable: ${(error as Error).message}`);
    }
    if (frame) this.#take(nowMs, frame);
  }

  #take(nowMs: number, frame: Frame): void {
    switch (frame.op) {
      case 'event':
        this.#followers.happened(frame.event);
        break;
      case 'replay':
        this.#followers.replayed(frame.filter, frame.event);
        break;
      case 'live':
        if (frame.filter !== undefined) this.#followers.live(frame.filter, frame.cursor);
        break;
      case 'ping':
        this.#outbox.send(['pong']);
        this.#followers.pinged(frame.cursor);
        break;
      case 'welcome':
        this.#welcome = frame.welcome;
        this.#resume = frame.welcome.resume;
        this.#heartbeatMs = frame.welcome.heartbeat_ms || this.#heartbeatMs;
        if (frame.id !== undefined) this.#isRefused = false;
        this.#heard(nowMs);
        this.#send(nowMs);
        break;
      case 'ok':
        if (!this.#requests.answered(frame.id, frame.body)) this.#followers.granted(frame.id, frame.body.cursor);
        this.#send(nowMs);
        break;
      case 'error':
        this.#refused(nowMs, frame.id, new FanfareError(frame.code, frame.reason, frame.retry_after_ms));
        this.#send(nowMs);
        break;
      case 'unsubscribed':
        this.#followers.unsubscribed(
          nowMs,
          frame.filter,
          new FanfareError(frame.code, frame.reason, frame.retry_after_ms),
        );
        break;
      case 'goodbye':
        this.#link.goodbye = frame;
    }
  }

  #refused(nowMs: number, id: number | undefined, error: FanfareError): void {
    if (id === undefined) return;
    if (id === this.#connectId) this.#refusedToConnect(nowMs, error);
    else if (id === this.#tokenId) {
      // A broker that knows no tokens needs no fresh ones.
      if (error.code === 'unsupported') this.#tokens.dueMs = Infinity;
      else this.#tokens.take(nowMs);
    } else if (!this.#requests.answered(id, error)) this.#followers.refused(nowMs, id, error);
  }

  /** A token that does not hold is replaced by a fresh one, once. */
  #refusedToConnect(nowMs: number, error: FanfareError): void {
    if (error.code === 'unsupported') return;
    if (error.retryAfterMs !== undefined || (error.code === 'unauthorized' && !this.#isRefused)) {
      this.#isRefused = true;
      this.#drop(nowMs, error.message);
    } else {
      this.#outbox.say({ kind: 'close', code: 1000 });
      this.#end(1008, error.message);
    }
  }
}
