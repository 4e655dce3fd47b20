/** Values written as MessagePack, as `JSON.stringify` takes them, but for bytes at the top of a frame. */

/** A frame as bytes: each of its elements as JSON has it, or bytes. */
export function write(frame: readonly unknown[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  head(out, frame.length, 0x90, 16, 0xdc);
  for (const element of frame) {
    if (element instanceof Uint8Array) {
      head(out, element.length, 0, 0, 0xc5, 0xc4);
      append(out, element);
    } else value(out, JSON.parse(JSON.stringify(element ?? null)));
  }
  return Uint8Array.from(out);
}

function value(out: number[], what: unknown): void {
  if (what === null) out.push(0xc0);
  else if (typeof what === 'boolean') out.push(what ? 0xc3 : 0xc2);
  else if (typeof what === 'number') number(out, what);
  else if (typeof what === 'string') {
    const bytes = new TextEncoder().encode(what);
    head(out, bytes.length, 0xa0, 32, 0xda, 0xd9);
    append(out, bytes);
  } else if (Array.isArray(what)) {
    head(out, what.length, 0x90, 16, 0xdc);
    for (const element of what) value(out, element);
  } else {
    const entries = Object.entries(what as object);
    head(out, entries.length, 0x80, 16, 0xde);
    for (const [key, entry] of entries) {
      value(out, key);
      value(out, entry);
    }
  }
}

/** A length in its shortest form: within the first byte, in one byte where there is such a form, in two, in four. */
function head(out: number[], length: number, fix: number, fixMax: number, two: number, one?: number): void {
  if (length < fixMax) out.push(fix | length);
  else if (one !== undefined && length < 0x100) out.push(one, length);
  else if (length < 0x1_0000) out.push(two, length >> 8, length & 0xff);
  else big(out, two + 1, 4, (view) => view.setUint32(0, length));
}

/** A number in its shortest form: an integer if it is one that is exact, else a double. */
function number(out: number[], what: number): void {
  if (!Number.isSafeInteger(what) || Object.is(what, -0)) big(out, 0xcb, 8, (view) => view.setFloat64(0, what));
  else if (what >= 0) {
    if (what < 0x80) out.push(what);
    else if (what < 0x100) out.push(0xcc, what);
    else if (what < 0x1_0000) out.push(0xcd, what >> 8, what & 0xff);
    else if (what < 0x1_0000_0000) big(out, 0xce, 4, (view) => view.setUint32(0, what));
    else big(out, 0xcf, 8, (view) => view.setBigUint64(0, BigInt(what)));
  } else if (what >= -0x20) out.push(what & 0xff);
  else if (what >= -0x80) out.push(0xd0, what & 0xff);
  else if (what >= -0x8000) big(out, 0xd1, 2, (view) => view.setInt16(0, what));
  else if (what >= -0x8000_0000) big(out, 0xd2, 4, (view) => view.setInt32(0, what));
  else big(out, 0xd3, 8, (view) => view.setBigInt64(0, BigInt(what)));
}

function big(out: number[], first: number, bytes: number, set: (view: DataView) => void): void {
  const view = new DataView(new ArrayBuffer(bytes));
  set(view);
  out.push(first);
  append(out, new Uint8Array(view.buffer));
}

function append(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) out.push(byte);
}
