/** Surroundings of which a test says what happens. */

import type { Surroundings } from '../../src/client/surroundings.js';

interface Timer {
  dueMs: number;
  callback(): void;
}

/** A clock that only moves when told, chance that is always a half, and a count of what is left behind. */
export class TestSurroundings implements Surroundings {
  nowMs = 0;
  dateMs = 1_763_000_000_000;
  readonly timers = new Set<Timer>();
  readonly wakers = new Set<() => void>();

  now = () => this.nowMs;
  date = () => this.dateMs + this.nowMs;
  chance = () => 0.5;

  after(ms: number, callback: () => void): () => void {
    const timer = { dueMs: this.nowMs + ms, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  onWake(callback: () => void): () => void {
    this.wakers.add(callback);
    return () => this.wakers.delete(callback);
  }

  /** Lets time pass: timers ring when they are due. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.timers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
      if (!next) break;
      this.timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.callback();
      await settled();
    }
    this.nowMs = endMs;
  }

  /** The machine sleeps: its clock goes on, and its timers do not. */
  sleep(ms: number): void {
    this.nowMs += ms;
    for (const timer of this.timers) timer.dueMs += ms;
  }

  wake(): void {
    for (const callback of this.wakers) callback();
  }
}

/** Waits until everything that is under way without a timer or a socket has been done. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
