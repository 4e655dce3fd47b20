/** MessagePack in binary frames: bytes stay bytes, and frames are smaller. */

import type { Codec } from './codec.js';
import { read } from './msgpack/read.js';
import { write } from './msgpack/write.js';

/** The codec to give to `connect` as `codec`. */
export const msgpack: Codec = {
  subprotocol: 'fanfare.v1.msgpack',
  isBinary: true,
  encode: write,
  decode(message) {
    if (typeof message === 'string') throw new Error('frame is text');
    return read(new Uint8Array(message));
  },
};
