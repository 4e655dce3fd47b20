/** What carries out what the session says, and tells it what happens. */

import type { OkBody } from '../frame.js';
import { FanfareError } from '../outcome.js';
import { createSession, type Input, type Output, type Session, type Status } from '../session.js';
import { lifetimeMs } from '../session/tokens.js';
import type { Dial, Wire } from '../wire.js';
import type { Subscription } from './subscription.js';
import type { Surroundings } from './surroundings.js';

/** After so many connections of one kind in vain the next kind is tried. */
const VAIN_MAX = 3;

type Settle = (result: OkBody | FanfareError) => void;

/** The session and its surroundings. */
export interface Driver {
  readonly session: Session;
  readonly subscriptions: Map<string, Subscription<any>>;
  /** Tells the session, and does all that it says. */
  tell(input: Input): void;
  /** Makes a request of a frame with its length; the answer comes later. */
  request(id: number, frame: unknown[], bytes: number, isRepeatable: boolean): Promise<OkBody>;
}

/** A driver that connects at once. */
export function createDriver(
  dials: readonly Dial[],
  fetchToken: (() => string | Promise<string>) | undefined,
  around: Surroundings,
  changed: (status: Status) => void,
): Driver {
  const session = createSession(around.chance);
  const subscriptions = new Map<string, Subscription<any>>();
  const answers = new Map<number, Settle>();
  const outputs: Output[] = [];
  let isBusy = false;
  let timer: { dueMs: number; cancel(): void } | undefined;
  let wire: Wire | undefined;
  let kind = 0;
  let vain = 0;
  /** What is told of a connection before this one is not heard. */
  let generation = 0;

  const tell = (input: Input) => {
    const before = session.status();
    outputs.push(...session.handle(around.now(), input));
    const status = session.status();
    if (!isBusy) {
      isBusy = true;
      for (let output; (output = outputs.shift()); ) carryOut(output);
      isBusy = false;
      setTimer();
    }
    if (status !== before) changed(status);
  };

  /** Tells the session only what is of the newest connection. */
  const teller = () => {
    const mine = generation;
    return (input: Input) => void (mine === generation && tell(input));
  };

  const carryOut = (output: Output) => {
    switch (output.kind) {
      case 'connect':
        generation++;
        void open(teller());
        break;
      case 'refresh':
        void refresh(teller());
        break;
      case 'send':
        wire?.send(output.frame);
        break;
      case 'event':
        if (subscriptions.get(output.filter)?.brought(output.event, output.cursor)) tell({ kind: 'hold', filter: output.filter });
        break;
      case 'moved':
        subscriptions.get(output.filter)?.moved(output.cursor);
        break;
      case 'ended': {
        const { filter, error } = output;
        const subscription = subscriptions.get(filter);
        subscriptions.delete(filter);
        subscription?.ended(error.closeCode === 1000 ? undefined : error);
        break;
      }
      case 'answered': {
        answers.get(output.id)?.(output.result);
        answers.delete(output.id);
        break;
      }
      case 'drop':
        generation++;
        wire?.close(output.code);
        wire = undefined;
    }
  };

  const takeToken = async (tell: (input: Input) => void) => {
    const token = await fetchToken!();
    tell({ kind: 'token', token, lifetimeMs: lifetimeMs(token, around.date()) });
  };

  const refresh = (tell: (input: Input) => void) => takeToken(tell).catch(() => tell({ kind: 'token' }));

  const open = async (tell: (input: Input) => void) => {
    const mine = generation;
    const closed = (code: number, reason: string) => tell({ kind: 'closed', code, reason });
    try {
      if (fetchToken) await takeToken(tell);
      if (mine !== generation) return;
      if (vain++ >= VAIN_MAX) [kind, vain] = [kind + 1, 1];
      wire = dials[kind % dials.length]!({
        opened: () => tell({ kind: 'opened' }),
        frame(frame) {
          vain = 0;
          tell({ kind: 'frame', frame });
        },
        heard: () => tell({ kind: 'heard' }),
        closed,
      });
    } catch (error) {
      closed(1006, String(error));
    }
  };

  /** A timer that rings too early is cheaper than a new one for each frame. */
  const setTimer = () => {
    const dueMs = session.pollTimeout();
    if (session.status().kind === 'closed') forget();
    if (timer && timer.dueMs <= dueMs && dueMs < Infinity) return;
    timer?.cancel();
    timer = undefined;
    if (dueMs === Infinity) return;
    const ring = () => {
      timer = undefined;
      tell({ kind: 'tick' });
    };
    timer = { dueMs, cancel: around.after(Math.max(0, dueMs - around.now()), ring) };
  };

  const forget = around.onWake(() => tell({ kind: 'wake' }));
  tell({ kind: 'begin' });

  return {
    session,
    subscriptions,
    tell,
    request: (id, frame, bytes, isRepeatable) =>
      new Promise((resolve, reject) => {
        answers.set(id, (result) => (result instanceof FanfareError ? reject(result) : resolve(result)));
        tell({ kind: 'request', id, frame, bytes, isRepeatable });
      }),
  };
}
