/** How a tab reaches the leading one, and notices that it does not answer. */

import type { Surroundings } from '../client/surroundings.js';
import type { Dial } from '../wire.js';
import type { Said } from './leader.js';

/** For so long the leading tab may say nothing before it is asked whether it is there. */
const QUIET_MS = 5_000;
/** So long it has for an answer, and by chance up to twice as long, so that not all tabs take over at once. */
const ANSWER_MS = 3_000;

/** Dials the leading tab once this tab's lock is `held`; `takeOver` is called when no leading tab answers. */
export function overChannel(
  name: string,
  tab: string,
  held: Promise<void>,
  around: Surroundings,
  takeOver: () => void,
): Dial {
  return (tell) => {
    const channel = new BroadcastChannel(name);
    let isClosed = false;
    /** Who welcomed this tab: what others say is not for it. */
    let leader: string | undefined;
    let stopTimer = () => {};
    const say = (said: Said) => isClosed || channel.postMessage(said);
    const after = (ms: number, callback: () => void) => {
      stopTimer();
      stopTimer = around.after(ms, callback);
    };
    const doubt = () => after(ANSWER_MS * (1 + around.chance()), () => (doubt(), takeOver()));
    const heard = () =>
      after(QUIET_MS, () => {
        doubt();
        say({ kind: 'there', leader: leader! });
      });
    const hello = () =>
      void held.then(() => {
        if (isClosed) return;
        doubt();
        say({ kind: 'hello', tab });
      });
    const close = () => {
      isClosed = true;
      stopTimer();
      channel.close();
    };
    const closed = (code: number, reason: string) => {
      close();
      tell({ kind: 'closed', code, reason });
    };
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data.kind === 'leads') {
        if (leader) closed(1006, 'another tab took over');
        else hello();
      } else if ('leader' in data && data.leader === (leader ?? data.leader)) {
        if (data.kind === 'closed') closed(data.code, data.reason);
        else if (data.kind === 'here' && leader) heard();
        else if (data.kind === 'told' && data.tab === tab) {
          heard();
          if (!leader) tell({ kind: 'opened' });
          leader = data.leader;
          tell({ kind: 'frame', frame: data.frame });
        }
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
