/** Which tab leads: the one that holds a lock, for as long as it runs and answers. */

import type { Locks } from './leader.js';

/** A tab that stands for election, again and again. */
export interface Election {
  /** Leads in place of a tab that answers no more. */
  takeOver(): void;
  /** Stands for it no more. */
  close(): void;
}

/** Stands for election; `lead` leads until what it gives back is called. */
export function createElection(locks: Locks, name: string, lead: () => () => void): Election {
  let withdraw = () => {};
  const stand = (steal: boolean) => {
    withdraw();
    withdraw = candidate(locks, name, lead, steal, () => stand(false));
  };
  const pause = () => withdraw();
  const resume = () => stand(false);
  const abort = new AbortController();
  const { signal } = abort;
  // A frozen tab holds its locks and does nothing: whoever may be frozen leads no more, nor waits for it.
  globalThis.document?.addEventListener('freeze', pause, { signal });
  globalThis.document?.addEventListener('resume', resume, { signal });
  globalThis.addEventListener?.('pagehide', pause, { signal });
  globalThis.addEventListener?.('pageshow', ({ persisted }) => persisted && resume(), { signal });
  stand(false);
  return {
    takeOver: () => stand(true),
    close() {
      abort.abort();
      withdraw();
    },
  };
}

/** Waits for the lock, or takes it from who has it, and leads until what this gives back is called or it is taken. */
function candidate(locks: Locks, name: string, lead: () => () => void, steal: boolean, deposed: () => void): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  const withdrawn = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  let end = () => {};
  const held = () => {
    if (signal.aborted) return;
    end = lead();
    return withdrawn;
  };
  locks.request(name, steal ? { steal } : { signal }, held).catch(() => {
    if (signal.aborted) return;
    end();
    deposed();
  });
  return () => {
    stop.abort();
    end();
  };
}
