/** Frames over a WebSocket. */

import type { Codec } from './codec.js';
import type { Dial } from './wire.js';

/** What is used of a WebSocket: that of a browser, or of any library that has the same shape. */
export interface Socket {
  binaryType: string;
  readonly protocol: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

/** What makes one. */
export type SocketClass = new (url: string, protocols: string[]) => Socket;

/** Dials the broker at a base URL such as `http://127.0.0.1:8900`. */
export function websocket(base: string, codec: Codec, Socket: SocketClass): Dial {
  return (tell) => {
    const socket = new Socket(`ws${base.slice(4)}/v1/ws`, [codec.subprotocol]);
    const hush = () => (socket.onopen = socket.onmessage = socket.onclose = null);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => tell({ kind: 'opened' });
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => {
      let frame: unknown = `${data}`;
      try {
        frame = codec.decode(data);
      } catch {
        // That it is none is for the session to judge.
      }
      tell({ kind: 'frame', frame });
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      hush();
      tell({ kind: 'closed', code, reason: reason || 'the connection was closed' });
    };
    // What it was, the close that follows tells.
    socket.onerror = () => {};
    return {
      send: (frame) => socket.send(codec.encode(frame)),
      close(code) {
        hush();
        // A page may say no other code.
        socket.close(code === 1000 ? code : undefined);
      },
    };
  };
}
