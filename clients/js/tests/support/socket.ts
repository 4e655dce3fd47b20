/** A WebSocket of which a test says what comes over it. */

import assert from 'node:assert/strict';
import type { Socket } from '../../src/websocket.js';

/** The sockets that were made, and the class to make them. */
export function sockets(): { made: TestSocket[]; WebSocket: new (url: string, protocols: string[]) => TestSocket } {
  const made: TestSocket[] = [];
  return {
    made,
    WebSocket: class extends TestSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        made.push(this);
      }
    },
  };
}

export class TestSocket implements Socket {
  binaryType = 'blob';
  readonly protocol = '';
  onopen: ((event: any) => void) | null = null;
  onmessage: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;
  /** What was sent and not looked at. */
  sent: string[] = [];
  closedWith: unknown[] | undefined;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.sent.push(data as string);
  }

  close(...args: unknown[]): void {
    this.closedWith = args;
  }

  /** It opens, and the broker says welcome. */
  welcome(extra: object = {}): this {
    this.onopen?.({});
    return this.bring(['welcome', null, { session: '1', heartbeat_ms: 25_000, limits: {}, ...extra }]);
  }

  /** Frames come. */
  bring(...frames: unknown[]): this {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    return this;
  }

  /** It breaks or is closed. */
  end(code = 1006, reason = ''): void {
    this.onclose?.({ code, reason });
  }

  /** The frames that were sent since this was asked last. */
  taken(): unknown[] {
    return this.sent.splice(0).map((text) => JSON.parse(text));
  }

  /** Nobody listens to it any more, and it is closed. */
  assertForgotten(): void {
    assert.deepEqual([this.onopen, this.onmessage, this.onclose], [null, null, null]);
  }
}
