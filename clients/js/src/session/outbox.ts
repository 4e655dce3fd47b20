/** What a session says to do, and what it is written into. */

import type { Event } from '../event.js';
import type { FanfareError, OkBody } from '../outcome.js';

/** What the owner of a session has to do. */
export type Output =
  /** Open a connection, then say `opened` or `closed`; if there are tokens, say `token` before. */
  | { kind: 'connect' }
  /** Say `token` with a fresh one. */
  | { kind: 'refresh' }
  /** Send a frame. */
  | { kind: 'send'; frame: unknown[] }
  /** Hand an event to whoever follows the filter, which stands at `cursor` after it. */
  | { kind: 'event'; filter: string; event: Event; cursor: string | undefined }
  /** Tell whoever follows the filter that it stands elsewhere although nothing came. */
  | { kind: 'moved'; filter: string; cursor: string }
  /** Tell whoever follows the filter that nothing follows, and why. */
  | { kind: 'ended'; filter: string; error: FanfareError }
  /** Tell whoever made the request. */
  | { kind: 'answered'; id: number; result: OkBody | FanfareError }
  /** Close the connection with this code and forget it; without a code just drop it. */
  | { kind: 'drop'; code?: number };

/** What is to be done, in order, and the ids of requests. */
export interface Outbox {
  /** True while frames can be sent. */
  isOpen: boolean;
  say(output: Output): unknown;
  /** Sends a request and gives its id. */
  ask(op: string, field?: unknown, options?: object): number;
  takeId(): number;
  /** What was said since it was taken last. */
  take(): Output[];
}

/** A frame of the client, without a trailing map that would say nothing. What is undefined in it is not written. */
export function request(op: string, id: number, field?: unknown, options: object = {}): unknown[] {
  const told = JSON.stringify(options) === '{}' ? undefined : options;
  return [op, id, field, told].filter((part) => part !== undefined);
}

/** An empty one. */
export function createOutbox(): Outbox {
  let outputs: Output[] = [];
  let newestId = 0;
  return {
    isOpen: false,
    say: (output) => outputs.push(output),
    ask(op, field, options) {
      outputs.push({ kind: 'send', frame: request(op, ++newestId, field, options) });
      return newestId;
    },
    takeId: () => ++newestId,
    take: () => outputs.splice(0),
  };
}
