/** What a client needs of the place in which it runs. */

const TIMER_MAX_MS = 2 ** 31 - 1;
/** What tells that a page slept, or that the network changed. */
const SIGNS = ['online', 'offline', 'pageshow', 'visibilitychange'];

/** Time, chance and signs, so that tests bring their own. */
export interface Surroundings {
  /** Milliseconds from any beginning, never backwards, time asleep included. */
  now(): number;
  /** Milliseconds since 1970. */
  date(): number;
  /** A number from 0 to below 1, by chance. */
  chance(): number;
  /** Calls back after so long; what it gives back undoes that. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back whenever it may have slept or the network changed; what it gives back undoes that. */
  onWake(callback: () => void): () => void;
}

/** A clock of two: one may stop while the machine sleeps, the other may be set. */
export function steadyClock(ticking: () => number, wall: () => number): () => number {
  let now = 0;
  let tick = ticking();
  let time = wall();
  return () => {
    const [tickBefore, timeBefore] = [tick, time];
    tick = ticking();
    time = wall();
    return (now += Math.max(0, tick - tickBefore, time - timeBefore));
  };
}

/** The real ones. */
export function surroundings(): Surroundings {
  return {
    now: steadyClock(() => performance.now(), Date.now),
    date: Date.now,
    chance: Math.random,
    after(ms, callback) {
      const timer = setTimeout(callback, Math.min(ms, TIMER_MAX_MS));
      return () => clearTimeout(timer);
    },
    onWake(callback) {
      const abort = new AbortController();
      for (const sign of SIGNS) globalThis.addEventListener?.(sign, callback, { signal: abort.signal });
      return () => abort.abort();
    },
  };
}
