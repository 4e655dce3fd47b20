/** How long to wait before coming back: a random time below a bound that doubles with each attempt. */

const FIRST_MS = 500;
const MOST_MS = 30_000;
/** Only a connection that stood so long after its welcome makes the next wait short again. */
const STEADY_MS = 2_000;

/** The next wait after a connection whose welcome was so long ago, if it had one; `chance` is from 0 to below 1. */
export type Backoff = (connectedMs: number, chance: number) => number;

/** One that has not been asked yet. */
export function createBackoff(): Backoff {
  let attempts = 0;
  return (connectedMs, chance) => {
    if (connectedMs >= STEADY_MS) attempts = 0;
    return Math.min(FIRST_MS * 2 ** attempts++, MOST_MS) * chance;
  };
}
