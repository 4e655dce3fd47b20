/** The MessagePack codec against another implementation, and against what is none. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@msgpack/msgpack';
import { msgpack } from '../src/msgpack.js';

/** Values by a seed: of every kind, width and length. */
function value(random: (below: number) => number, depth: number): unknown {
  switch (random(depth > 3 ? 6 : 8)) {
    case 0:
      return null;
    case 1:
      return random(2) === 1;
    case 2:
      return (random(2) ? 1 : -1) * 2 ** random(53) + random(3) - 1;
    case 3:
      return random(1 << 30) / 7;
    case 4:
      return 'ä€x'.repeat(random(4) ? random(12) : random(40_000));
    case 5:
      return -random(70_000);
    case 6:
      return random(10)
        ? Array.from({ length: random(5) }, () => value(random, depth + 1))
        : Array(random(70_000)).fill(7);
    default:
      return Object.fromEntries(Array.from({ length: random(20) }, (_, at) => [`k${at}`, value(random, depth + 1)]));
  }
}

test('what one writes the other reads', () => {
  for (let seed = 1; seed <= 300; seed++) {
    let state = seed * 2_654_435_761;
    const random = (below: number) => {
      state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0;
      return state % below;
    };
    const frame = [
      'publish',
      seed,
      value(random, 0),
      Uint8Array.from({ length: random(3) ? random(9) : random(70_000) }, () => seed),
    ];
    assert.deepEqual(decode(msgpack.encode(frame) as Uint8Array), frame, `seed ${seed}`);
    assert.deepEqual(msgpack.decode(encode(frame).slice().buffer), frame, `seed ${seed}`);
  }
});

test('values are written as JSON would have them', () => {
  const frame = ['publish', 1, 'a', { date: new Date(0), gone: undefined, nan: NaN, deep: [undefined] }];
  assert.deepEqual(decode(msgpack.encode(frame) as Uint8Array), JSON.parse(JSON.stringify(frame)));
});

test('a key that names the prototype is a key like any other', () => {
  const bytes = Uint8Array.from([0x81, 0xa9, ...Buffer.from('__proto__'), 0x01]);
  const read = msgpack.decode(bytes.buffer) as object;
  assert.deepEqual(Object.entries(read), [['__proto__', 1]]);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
});

for (const [name, hex] of [
  ['nothing', ''],
  ['an ext type', 'd40100'],
  ['a byte that begins nothing', 'c1'],
  ['a string cut short', 'a361'],
  ['a string that is no UTF-8', 'a1ff'],
  ['a map that claims four billion entries', 'dfffffffff'],
  ['two values', 'c0c0'],
  ['a thousand arrays in each other', '91'.repeat(1000)],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(() => msgpack.decode(new Uint8Array(Buffer.from(hex, 'hex')).buffer));
  });
}

test('text is refused', () => {
  assert.throws(() => msgpack.decode('[]'), /text/);
});
