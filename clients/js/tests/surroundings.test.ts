/** The real surroundings of a client, as far as they decide anything. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steadyClock, surroundings } from '../src/client/surroundings.js';

test('a clock goes on while one of two stands still, and back with neither', () => {
  const told: [ticking: number, wall: number, is: number][] = [
    [100, 5_000, 0],
    [110, 5_010, 10],
    // The machine slept: only the wall's clock went on.
    [110, 65_010, 60_010],
    // It was set back by an hour.
    [120, 65_010 - 3_600_000, 60_020],
    [130, 65_020 - 3_600_000, 60_030],
  ];
  let at = 0;
  const now = steadyClock(
    () => told[at]![0],
    () => told[at]![1],
  );
  for (; at < told.length; at++) assert.equal(now(), told[at]![2], `${told[at]}`);
});

test('a wait that is longer than timers can wait does not end at once', (t) => {
  const set = t.mock.method(globalThis, 'setTimeout', () => 7);
  const clear = t.mock.method(globalThis, 'clearTimeout', () => {});
  const stop = surroundings().after(2 ** 40, () => {});
  assert.equal((set.mock.calls[0]!.arguments as unknown[])[1], 2 ** 31 - 1);
  stop();
  assert.deepEqual(clear.mock.calls[0]!.arguments, [7]);
});

test('whatever may mean that it slept or that the network changed is a sign, until nobody wants to know', (t) => {
  const page = new EventTarget();
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) });
  t.after(() => Reflect.deleteProperty(globalThis, 'addEventListener'));
  let signs = 0;
  const forget = surroundings().onWake(() => signs++);
  for (const sign of ['online', 'offline', 'pageshow', 'visibilitychange']) {
    page.dispatchEvent(new Event(sign));
    assert.equal(signs, 1, sign);
    signs = 0;
  }
  forget();
  page.dispatchEvent(new Event('online'));
  assert.equal(signs, 0);
});
