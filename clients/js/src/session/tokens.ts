/** When a token is to be replaced. */

/** The shortest time between two tokens. */
const PAUSE_MS = 5_000;
/** How long before its end a token is replaced, unless it lives too short for that. */
const AHEAD_MS = 60_000;

/** The token that is used, and when the next is fetched. */
export class Tokens {
  current: string | undefined;
  /** When the next is to be fetched; `Infinity` for never. */
  dueMs = Infinity;

  /** A token came, which lives so long if that is known; without one, fetching it failed. */
  take(nowMs: number, token?: string, lifetimeMs = Infinity): void {
    if (token === undefined) lifetimeMs = 0;
    else this.current = token;
    this.dueMs = nowMs + Math.max(PAUSE_MS, lifetimeMs - Math.min(AHEAD_MS, lifetimeMs / 5));
  }
}

/** How long a JWT lives from now on, both in milliseconds since 1970; `undefined` if it does not say. */
export function lifetimeMs(token: string, nowMs: number): number | undefined {
  try {
    const claims = token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/');
    const { exp } = JSON.parse(atob(claims)) as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 - nowMs : undefined;
  } catch {
    // Whether it is one is for the broker to say.
    return undefined;
  }
}
