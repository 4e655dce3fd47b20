/** How long to wait before coming back: a random time below a bound that doubles with each attempt. */

const FIRST_MS = 500;
const MOST_MS = 30_000;
/** Only a connection that stood so long makes the next wait short again. */
const STEADY_MS = 30_000;

/** How often it was tried in vain. */
export class Backoff {
  #attempts = 0;

  /** The next wait; `chance` is from 0 to below 1. */
  nextMs(chance: number): number {
    return Math.floor(Math.min(FIRST_MS * 2 ** this.#attempts++, MOST_MS) * chance);
  }

  /** A connection ended after it had stood so long. */
  connectedFor(ms: number): void {
    if (ms >= STEADY_MS) this.#attempts = 0;
  }
}
