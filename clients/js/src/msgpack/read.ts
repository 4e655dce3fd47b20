/** MessagePack read strictly: keys are strings, no ext types, nothing after the value, no length believed too early. */

const DEPTH_MAX = 72;

/** The value that the bytes are; it throws if they are none. Integers beyond 2^53 become the nearest double. */
export function read(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new Error('something stands after the value');
  return value;
}

class Reader {
  at = 0;
  readonly #view: DataView;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new Error('it nests too deep');
    const head = this.#number(1);
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head < 0x90) return this.#map(head & 0x0f, depth);
    if (head < 0xa0) return this.#array(head & 0x0f, depth);
    if (head < 0xc0) return this.#string(head & 0x1f);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#take(this.#number(1 << (head - 0xc4))).slice();
      case 0xca:
        return this.#view.getFloat32(this.#skip(4));
      case 0xcb:
        return this.#view.getFloat64(this.#skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#number(1 << (head - 0xcc));
      case 0xcf:
        return Number(this.#view.getBigUint64(this.#skip(8)));
      case 0xd0:
        return this.#view.getInt8(this.#skip(1));
      case 0xd1:
        return this.#view.getInt16(this.#skip(2));
      case 0xd2:
        return this.#view.getInt32(this.#skip(4));
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#skip(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(this.#number(1 << (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#number(2 << (head - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#number(2 << (head - 0xde)), depth);
      default:
        throw new Error(`0x${head.toString(16)} begins nothing that a broker sends`);
    }
  }

  #array(length: number, depth: number): unknown[] {
    const array = [];
    for (let at = 0; at < length; at++) array.push(this.value(depth + 1));
    return array;
  }

  #map(length: number, depth: number): object {
    const entries: [string, unknown][] = [];
    for (let at = 0; at < length; at++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') throw new Error('a key is no string');
      entries.push([key, this.value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #string(length: number): string {
    return this.#text.decode(this.#take(length));
  }

  /** An unsigned integer of 1, 2 or 4 bytes. */
  #number(bytes: number): number {
    return this.#take(bytes).reduce((whole, byte) => whole * 0x100 + byte, 0);
  }

  #take(length: number): Uint8Array {
    const from = this.#skip(length);
    return this.bytes.subarray(from, this.at);
  }

  #skip(length: number): number {
    if (length > this.bytes.length - this.at) throw new Error('it ends too early');
    this.at += length;
    return this.at - length;
  }
}
