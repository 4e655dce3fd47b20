/** What carries out what the session says, and tells it what happens. */

import { FanfareError, type OkBody } from '../outcome.js';
import { createSession, type Input, type Output, type Session, type Status } from '../session.js';
import { lifetimeMs } from '../session/tokens.js';
import type { Dial, Wire } from '../wire.js';
import type { Follower } from './subscription.js';
import type { Surroundings } from './surroundings.js';

/** After so many connections of one kind in vain the next kind is tried. */
const VAIN_MAX = 3;

type Settle = (result: OkBody | FanfareError) => void;

/** The session and its surroundings. */
export interface Driver {
  readonly session: Session;
  readonly followers: Map<string, Follower>;
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
  const followers = new Map<string, Follower>();
  const answers = new Map<number, Settle>();
  const outputs: Output[] = [];
  let isBusy = false;
  /** When the timer rings, and what stops it. */
  let ringsMs = Infinity;
  let stopTimer = () => {};
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
      for (let output; (output = outputs.shift()); ) doers[output.kind](output as never);
      isBusy = false;
      setTimer();
    }
    if (status !== before) changed(status);
  };

  /** Tells the session only what is of the newest connection. */
  const tellOf = (mine: number, input: Input) => mine === generation && tell(input);

  const doers: { [K in Output['kind']]: (output: Extract<Output, { kind: K }>) => void } = {
    connect: () => void open(++generation),
    refresh: () => void refresh(generation),
    send: ({ frame }) => wire?.send(frame),
    event({ filter, event, cursor }) {
      if (followers.get(filter)?.bring(event, cursor)) tell({ kind: 'hold', filter });
    },
    moved: ({ filter, cursor }) => followers.get(filter)?.moved(cursor),
    ended({ filter, error }) {
      const follower = followers.get(filter);
      followers.delete(filter);
      follower?.end(error.closeCode === 1000 ? undefined : error);
    },
    answered({ id, result }) {
      answers.get(id)?.(result);
      answers.delete(id);
    },
    drop({ code }) {
      generation++;
      wire?.close(code);
      wire = undefined;
    },
  };

  const takeToken = async (mine: number) => {
    const token = await fetchToken!();
    tellOf(mine, { kind: 'token', token, lifetimeMs: lifetimeMs(token, around.date()) });
  };

  // What can't be fetched the session asks for again.
  const refresh = (mine: number) => takeToken(mine).catch(() => {});

  const open = async (mine: number) => {
    try {
      if (fetchToken) await takeToken(mine);
      if (mine !== generation) return;
      if (vain++ >= VAIN_MAX) [kind, vain] = [kind + 1, 1];
      const made = await dials[kind % dials.length]!((input) => {
        if (input.kind === 'frame') vain = 0;
        tellOf(mine, input);
      });
      if (mine === generation) wire = made;
      else made.close();
    } catch (error) {
      tellOf(mine, { kind: 'closed', code: 1006, reason: `${error}` });
    }
  };

  const ring = () => {
    ringsMs = Infinity;
    tell({ kind: 'tick' });
  };

  /** A timer that rings too early is cheaper than a new one for each frame. */
  const setTimer = () => {
    const dueMs = session.pollTimeout();
    if (session.status().kind === 'closed') forget();
    // One that should have rung slept while the clock did not.
    if (around.now() < ringsMs && ringsMs <= dueMs && dueMs < Infinity) return;
    stopTimer();
    ringsMs = dueMs;
    if (dueMs < Infinity) stopTimer = around.after(Math.max(0, dueMs - around.now()), ring);
  };

  const forget = around.onWake(() => {
    ringsMs = 0;
    tell({ kind: 'wake' });
  });
  tell({ kind: 'begin' });

  return {
    session,
    followers,
    tell,
    request: (id, frame, bytes, isRepeatable) =>
      new Promise((resolve, reject) => {
        answers.set(id, (result) => (result instanceof FanfareError ? reject(result) : resolve(result)));
        tell({ kind: 'request', id, frame, bytes, isRepeatable });
      }),
  };
}
