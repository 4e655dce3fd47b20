/**
 * One connection for all tabs of a site: one tab, elected by a lock, keeps it, and the others reach it over a
 * `BroadcastChannel`. When that tab goes another takes over, and every filter goes on from its cursor.
 */

import { connect, createClient, type Client, type Options } from './client.js';
import { baseUrl } from './endpoint.js';
import { lead, type Locks, type Said } from './shared/leader.js';
import type { Dial } from './wire.js';

/** How a shared client connects. */
export interface SharedOptions extends Options {
  /** What the tabs that share have in common [default: the URL]; of all options that of the leading tab holds. */
  name?: string | undefined;
  /** @internal */
  locks?: Locks | undefined;
}

/** As `connect`, over one connection for all tabs that say the same URL and name; without locks, over its own. */
export function connectShared(url: string, options: SharedOptions = {}): Client {
  const { locks = navigator.locks as Locks | undefined } = options;
  if (!locks) return connect(url, options);
  const name = `fanfare:${options.name ?? baseUrl(url)}`;
  const tab = crypto.getRandomValues(new Uint32Array(4)).join('-');
  const stop = new AbortController();
  const until = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
  const hold = (lock: string, held: () => void) =>
    locks.request(lock, { signal: stop.signal }, () => (held(), until)).catch(() => {});
  // Whoever gets this lock knows that the tab is gone, so nobody may hear of the tab before it has it.
  const held = new Promise<void>((resolve) => void hold(`${name}:${tab}`, resolve));
  void hold(name, () => until.then(lead(url, name, options, locks)));
  const { token, ...rest } = options;
  const client = createClient([overChannel(name, tab, held)], { ...rest, codec: undefined });
  const { close } = client;
  client.close = () => {
    close();
    stop.abort();
  };
  return client;
}

/** Dials the leading tab. */
function overChannel(name: string, tab: string, held: Promise<void>): Dial {
  return (tell) => {
    const channel = new BroadcastChannel(name);
    let isOpen = false;
    let isClosed = false;
    const say = (said: Said) => channel.postMessage(said);
    const hello = () => void held.then(() => isClosed || say({ kind: 'hello', tab }));
    const close = () => {
      isClosed = true;
      channel.close();
    };
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data.kind === 'leads' && isOpen) {
        close();
        tell({ kind: 'closed', code: 1006, reason: 'another tab took over' });
      } else if (data.kind === 'leads') hello();
      else if (data.kind === 'closed') {
        close();
        tell(data);
      } else if (data.kind === 'told' && data.tab === tab) {
        if (!isOpen) tell({ kind: 'opened' });
        isOpen = true;
        tell({ kind: 'frame', frame: data.frame });
      }
    };
    hello();
    return {
      send: (frame) => say({ kind: 'asked', tab, frame }),
      close() {
        say({ kind: 'bye', tab });
        close();
      },
    };
  };
}
