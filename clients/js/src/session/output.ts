/** What a session says to do, and what it is written into. */

import type { Event } from '../event.js';
import type { OkBody } from '../frame.js';
import type { FanfareError } from '../outcome.js';

/** What the owner of a session has to do. */
export type Output =
  /** Open a connection, then say `opened` or `closed`; if there are tokens, say `token` before. */
  | { kind: 'connect' }
  /** Say `token` with a fresh one. */
  | { kind: 'token' }
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
  | { kind: 'close'; code?: number };

/** What is to be done, in order, and the ids of requests. */
export class Outbox {
  outputs: Output[] = [];
  /** True while frames can be sent. */
  isOpen = false;
  #nextId = 1;

  say(output: Output): void {
    this.outputs.push(output);
  }

  send(frame: unknown[]): void {
    this.say({ kind: 'send', frame });
  }

  takeId(): number {
    return this.#nextId++;
  }

  /** What was said since it was taken last. */
  take(): Output[] {
    const taken = this.outputs;
    this.outputs = [];
    return taken;
  }
}
