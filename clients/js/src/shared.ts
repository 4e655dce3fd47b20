/**
 * One connection for all tabs of a site: one tab, elected by a lock, keeps it, and the others reach it over a
 * `BroadcastChannel`. When that tab goes or answers no more another takes over, and every filter goes on from its cursor.
 */

import { connect, createClient, type Client, type Options } from './client.js';
import { surroundings } from './client/surroundings.js';
import { baseUrl } from './endpoint.js';
import { overChannel } from './shared/channel.js';
import { createElection } from './shared/election.js';
import { lead, type Locks } from './shared/leader.js';

/** How a shared client connects. */
export interface SharedOptions extends Options {
  /** What the tabs that share have in common [default: the URL]; of all options that of the leading tab holds. */
  name?: string | undefined;
  /** @internal */
  locks?: Locks | undefined;
}

/** As `connect`, over one connection for all tabs that say the same URL and name; without locks, over its own. */
export function connectShared(url: string, options: SharedOptions = {}): Client {
  const { locks = globalThis.navigator?.locks as Locks | undefined, around = surroundings() } = options;
  if (!locks) return connect(url, options);
  const name = `fanfare:${options.name ?? baseUrl(url)}`;
  const tab = crypto.getRandomValues(new Uint32Array(4)).join('-');
  const stop = new AbortController();
  const until = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
  // Whoever gets this lock knows that the tab is gone, so nobody may hear of the tab before it has it.
  const held = new Promise<void>((resolve) => {
    const hold = () => (resolve(), until);
    locks.request(`${name}:${tab}`, { signal: stop.signal }, hold).catch(() => {});
  });
  const election = createElection(locks, name, () => lead(url, name, options, locks));
  const dial = overChannel(name, tab, held, around, election.takeOver);
  const { token, ...rest } = options;
  const client = createClient([dial], { ...rest, around, codec: undefined });
  const { close } = client;
  client.close = () => {
    close();
    election.close();
    stop.abort();
  };
  return client;
}
