/** When a token is to be replaced. */

/** The shortest time between two tokens. */
const PAUSE_MS = 5_000;
/** How long before its end a token is replaced, unless it lives too short for that. */
const AHEAD_MS = 60_000;

/** After how long the next token is to be fetched. */
export const refreshAfterMs = (lifetimeMs: number): number =>
  Math.max(PAUSE_MS, lifetimeMs - Math.min(AHEAD_MS, lifetimeMs / 5));

/** How long a JWT lives from now on, both in milliseconds since 1970; without end if it does not say. */
export function lifetimeMs(token: string, nowMs: number): number {
  try {
    const claims = token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/');
    return JSON.parse(atob(claims)).exp * 1000 - nowMs || Infinity;
  } catch {
    // Whether it is a token is for the broker to say.
    return Infinity;
  }
}
