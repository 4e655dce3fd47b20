/** What carries out what the session says, and tells it what happens. */

import type { OkBody } from '../frame.js';
import { FanfareError } from '../outcome.js';
import { Session, type Input, type Output, type Status } from '../session.js';
import { lifetimeMs } from '../session/tokens.js';
import type { Dial, Wire } from '../wire.js';
import type { Subscription } from './subscription.js';
import type { Surroundings } from './surroundings.js';

/** After so many connections of one kind in vain the next kind is tried. */
const VAIN_MAX = 3;

interface Answer {
  resolve(body: OkBody): void;
  reject(error: FanfareError): void;
}

/** The session and its surroundings. */
export class Driver {
  readonly session: Session;
  readonly subscriptions = new Map<string, Subscription<any>>();
  readonly #answers = new Map<number, Answer>();
  #wire: Wire | undefined;
  #outputs: Output[] = [];
  #isBusy = false;
  #timer: { dueMs: number; cancel(): void } | undefined;
  #forget: () => void;
  #vain = 0;
  #kind = 0;
  /** What is told of a connection before this one is not heard. */
  #generation = 0;

  constructor(
    readonly dials: readonly Dial[],
    readonly token: (() => string | Promise<string>) | undefined,
    readonly around: Surroundings,
    readonly changed: (status: Status) => void,
  ) {
    this.session = new Session(around.chance);
    this.#forget = around.onWake(() => this.tell({ kind: 'wake' }));
    this.tell({ kind: 'begin' });
  }

  /** Tells the session, and does all that it says. */
  tell(input: Input): void {
    const before = this.session.status;
    this.#outputs.push(...this.session.handle(this.around.now(), input));
    const { status } = this.session;
    if (!this.#isBusy) {
      this.#isBusy = true;
      for (let output; (output = this.#outputs.shift()); ) this.#carryOut(output);
      this.#isBusy = false;
      this.#setTimer();
    }
    if (status !== before) this.changed(status);
  }

  /** Makes a request of `frame` with its length; the answer comes later. */
  request(id: number, frame: unknown[], bytes: number, isRepeatable: boolean): Promise<OkBody> {
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.tell({ kind: 'request', id, frame, bytes, isRepeatable });
    });
  }

  #carryOut(output: Output): void {
    switch (output.kind) {
      case 'connect':
        void this.#connect(++this.#generation);
        break;
      case 'token':
        void this.#refresh(this.#generation);
        break;
      case 'send':
        this.#wire?.send(output.frame);
        break;
      case 'event':
        if (this.subscriptions.get(output.filter)?.brought(output.event, output.cursor)) {
          this.tell({ kind: 'hold', filter: output.filter });
        }
        break;
      case 'moved':
        this.subscriptions.get(output.filter)?.moved(output.cursor);
        break;
      case 'ended': {
        const subscription = this.subscriptions.get(output.filter);
        this.subscriptions.delete(output.filter);
        subscription?.ended(output.error.closeCode === 1000 ? undefined : output.error);
        break;
      }
      case 'answered': {
        const { id, result } = output;
        const answer = this.#answers.get(id);
        this.#answers.delete(id);
        if (result instanceof FanfareError) answer?.reject(result);
        else answer?.resolve(result);
        break;
      }
      case 'close':
        this.#generation++;
        this.#wire?.close(output.code);
        this.#wire = undefined;
    }
  }

  async #connect(generation: number): Promise<void> {
    const isOld = () => generation !== this.#generation;
    const tell = (input: Input) => isOld() || this.tell(input);
    try {
      if (this.token) await this.#fetchToken(tell);
      if (isOld()) return;
      if (this.#vain >= VAIN_MAX) [this.#kind, this.#vain] = [this.#kind + 1, 0];
      this.#vain++;
      this.#wire = this.dials[this.#kind % this.dials.length]!({
        opened: () => tell({ kind: 'opened' }),
        frame: (frame) => {
          this.#vain = 0;
          tell({ kind: 'frame', frame });
        },
        heard: () => tell({ kind: 'heard' }),
        closed: (code, reason) => tell({ kind: 'closed', code, reason }),
      });
    } catch (error) {
      tell({ kind: 'closed', code: 1006, reason: String(error) });
    }
  }

  async #refresh(generation: number): Promise<void> {
    const tell = (input: Input) => generation !== this.#generation || this.tell(input);
    await this.#fetchToken(tell).catch(() => tell({ kind: 'token' }));
  }

  async #fetchToken(tell: (input: Input) => void): Promise<void> {
    const token = await this.token!();
    tell({ kind: 'token', token, lifetimeMs: lifetimeMs(token, this.around.date()) });
  }

  /** A timer that rings too early is cheaper than a new one for each frame. */
  #setTimer(): void {
    const dueMs = this.session.timeoutMs;
    if (this.#timer && this.#timer.dueMs <= dueMs && dueMs < Infinity) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.session.status.kind === 'closed') this.#forget();
    if (dueMs === Infinity) return;
    const cancel = this.around.after(Math.max(0, dueMs - this.around.now()), () => {
      this.#timer = undefined;
      this.tell({ kind: 'tick' });
    });
    this.#timer = { dueMs, cancel };
  }
}
