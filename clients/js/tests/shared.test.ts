/** One connection for all tabs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectShared } from '../src/shared.js';
import type { Locks } from '../src/shared/leader.js';
import { settled, TestSurroundings } from './support/around.js';
import { asked, granted, next, site, until } from './support/site.js';
import { sockets } from './support/socket.js';
import { message } from './support/story.js';

test('tabs share one connection, and a filter that both follow', async (t) => {
  const { made, opened, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  const socket = await opened();
  assert.deepEqual(await granted(socket), ['subscribe', 1, 'a']);
  assert.equal(await next(first), 'live');
  const second = two.subscribe('a');
  assert.equal(await next(second), 'live');
  socket.bring(message(6));
  assert.deepEqual([await next(first), await next(second)], [6, 6]);
  assert.deepEqual([first.cursor, second.cursor], ['0.k:6', '0.k:6']);
  first.unsubscribe();
  // By its answer the leading tab has heard of that too.
  const history = one.history('a');
  assert.deepEqual(await asked(socket), ['history', 2, 'a']);
  socket.bring(['ok', 2, { frames: [message(6)], more: false }], message(7));
  assert.deepEqual((await history).frames, [{ kind: 'message', topic: 'a', position: '0.k:6', data: 6 }]);
  assert.equal(await next(second), 7);
  second.unsubscribe();
  assert.deepEqual(await asked(socket), ['unsubscribe', 3, 'a']);
  assert.equal(made.length, 1);
});

test('tabs that begin at the same time share from the beginning', async (t) => {
  const { made, opened, tab } = site(t);
  const [first, second] = [tab(), tab()].map(({ client }) => client.subscribe('a'));
  const socket = await opened();
  const both = Promise.all([next(first!), next(second!)]);
  assert.deepEqual(await granted(socket), ['subscribe', 1, 'a']);
  assert.deepEqual(await both, ['live', 'live']);
  assert.equal(made.length, 1);
});

test('a tab publishes over the connection of another', async (t) => {
  const { opened, tab } = site(t);
  tab();
  const { client } = tab();
  const published = client.publish('a', Uint8Array.of(1), { idempotencyKey: 'k', ttlS: 5 });
  const socket = await opened();
  assert.deepEqual(await asked(socket), [
    'publish',
    1,
    'a',
    'AQ==',
    { idempotency_key: 'k', encoding: 'base64', ttl_s: 5 },
  ]);
  socket.bring(['ok', 1, { position: '0.k:7', heard: false }]);
  assert.deepEqual(await published, { position: '0.k:7', heard: false });
  const refused = client.history('a').catch((error) => error);
  await asked(socket);
  socket.bring(['error', 2, 'unavailable', 'away', { retry_after_ms: 100 }]);
  const { code, message, retryAfterMs } = await refused;
  assert.deepEqual([code, message, retryAfterMs], ['unavailable', 'away (unavailable)', 100]);
});

test('when the leading tab goes another goes on from where the filter stands', async (t) => {
  const { opened, tab } = site(t);
  const one = tab();
  const socket = await opened();
  const two = tab();
  const subscription = two.client.subscribe('a');
  await granted(socket);
  socket.bring(message(6));
  assert.deepEqual([await next(subscription), await next(subscription)], ['live', 6]);
  one.client.close();
  assert.deepEqual(await until(() => socket.closedWith), [1000]);
  await until(() => two.client.status.kind === 'waiting');
  await two.around.pass(250);
  const again = await opened(1);
  assert.deepEqual(await granted(again, '0.k:6'), ['subscribe', 1, 'a', { after: '0.k:6' }]);
  again.bring(['replay', 'a', message(7)], ['live', 'a', '0.k:7']);
  assert.deepEqual([await next(subscription), await next(subscription)], [7, 'live']);
});

test('a filter that begins elsewhere gets a connection until it has caught up', async (t) => {
  const { opened, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  const socket = await opened();
  await granted(socket);
  await next(first);
  const second = two.subscribe('a', { last: 1 });
  const aside = await opened(1);
  assert.deepEqual(await granted(aside), ['subscribe', 1, 'a', { last: 1 }]);
  socket.bring(message(6));
  assert.equal(await next(first), 6);
  aside.bring(['replay', 'a', message(4)], ['live', 'a', '0.k:5']);
  assert.deepEqual([await next(second), await next(second)], [4, 'live']);
  assert.equal(aside.closedWith, undefined);
  aside.bring(message(6));
  assert.equal(await next(second), 6);
  assert.deepEqual(aside.closedWith, [1000]);
  socket.bring(message(7));
  assert.deepEqual([await next(first), await next(second)], [7, 7]);
});

for (const [how, options, request] of [
  ['at another place', { after: '0.k:3' }, { after: '0.k:3' }],
  ['in another way', { onSlow: 'latest' }, { on_slow: 'latest' }],
] as const) {
  test(`a filter that a second tab follows ${how} is asked for by itself`, async (t) => {
    const { opened, tab } = site(t);
    const first = tab().client.subscribe('a');
    await granted(await opened());
    await next(first);
    tab().client.subscribe('a', options);
    assert.deepEqual(await asked(await opened(1)), ['subscribe', 1, 'a', request]);
  });
}

test('a filter that goes on from where another stands shares with it', async (t) => {
  const { made, opened, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  const socket = await opened();
  await granted(socket);
  await next(first);
  const second = two.subscribe('a', { after: '0.k:5' });
  assert.equal(await next(second), 'live');
  socket.bring(message(6));
  assert.deepEqual([await next(first), await next(second)], [6, 6]);
  assert.equal(made.length, 1);
});

test('a filter that still lacks its newest shares with no other, though it stands at the same place', async (t) => {
  const { made, opened, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  await granted(await opened());
  await next(first);
  const second = two.subscribe('a', { after: '0.k:5', last: 1 });
  const aside = await opened(1);
  assert.deepEqual(await granted(aside), ['subscribe', 1, 'a', { after: '0.k:5', last: 1 }]);
  aside.bring(['replay', 'a', message(4)], ['live', 'a', '0.k:5']);
  assert.deepEqual([await next(second), await next(second)], [4, 'live']);
  assert.equal(made.length, 2);
});

test('all that a message says, gaps and ends are told to every tab', async (t) => {
  const { opened, tab } = site(t);
  const all = [tab(), tab()].map(({ client }) => client.subscribe('a'));
  const socket = await opened();
  await granted(socket, '0.k:4');
  for (const one of all) assert.equal(await next(one), 'live');
  const meta = { type: 'text/plain', time: 7, user: 'ann', headers: { h: '1' } };
  socket.bring(['message', 'a', '0.k:5', 'hi', meta]);
  socket.bring(['gap', 'a', '0.k:5', '0.k:7', { count: 2 }], ['gap', null, '0.k:7', '0.m:3']);
  socket.bring(['unsubscribed', 'a', 'forbidden', 'no more']);
  for (const one of all) {
    assert.deepEqual((await one.next()).value, { kind: 'message', topic: 'a', position: '0.k:5', data: 'hi', ...meta });
    assert.deepEqual((await one.next()).value, { kind: 'gap', topic: 'a', from: '0.k:5', to: '0.k:7', count: 2 });
    const { value } = await one.next();
    assert.deepEqual([value.kind, value.topic, value.from, value.to], ['gap', undefined, '0.k:7', '0.m:3']);
    assert.equal(one.cursor, '0.m:3');
    await assert.rejects(one.next(), { code: 'forbidden', message: 'no more (forbidden)' });
  }
});

test('a connection that is closed for good is closed for all', async (t) => {
  const { opened, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const subscription = two.subscribe('a');
  const socket = await opened();
  await asked(socket);
  socket.end(4003, 'an operator ended the session');
  await assert.rejects(subscription.next(), /an operator ended the session \(4003\)/);
  await until(() => one.status.kind === 'closed');
  const late = tab().client;
  await until(() => late.status.kind === 'closed');
});

test('a tab that holds the lock and says nothing is not waited for', async (t) => {
  const { name, locks, made, opened, tab } = site(t);
  let thaw = () => {};
  const frozen = new Promise<void>((resolve) => (thaw = resolve));
  const stolen = assert.rejects(
    locks.request(`fanfare:${name}`, {}, () => frozen),
    /stolen/,
  );
  const { client, around } = tab();
  const subscription = client.subscribe('a');
  await until(() => around.timers.size === 2);
  await around.pass(4_499);
  assert.equal(made.length, 0);
  await around.pass(1);
  const socket = await opened();
  await stolen;
  thaw();
  assert.deepEqual(await granted(socket), ['subscribe', 1, 'a']);
  assert.equal(await next(subscription), 'live');
});

test('a leading tab that is quiet is asked, answers, and goes on leading', async (t) => {
  const { made, opened, tab } = site(t);
  const [one, two] = [tab(), tab()];
  const first = one.client.subscribe('a');
  const second = two.client.subscribe('a');
  await granted(await opened());
  assert.deepEqual([await next(first), await next(second)], ['live', 'live']);
  for (let round = 0; round < 12; round++) {
    await two.around.pass(5_000);
    // Its doubt rings then, unless there is an answer.
    await until(() => [...two.around.timers].every(({ dueMs }) => dueMs !== two.around.nowMs + 4_500));
  }
  assert.equal(made.length, 1);
});

for (const [away, back] of [
  ['freeze', 'resume'],
  ['pagehide', 'pageshow'],
] as const) {
  test(`a leading tab leads no more after ${away}, and may again after ${back}`, async (t) => {
    const { opened, tab } = site(t);
    const page = new EventTarget();
    Object.assign(globalThis, { document: page, addEventListener: page.addEventListener.bind(page) });
    tab();
    for (const name of ['document', 'addEventListener']) Reflect.deleteProperty(globalThis, name);
    const first = await opened();
    const two = tab();
    page.dispatchEvent(new Event(away));
    assert.deepEqual(await until(() => first.closedWith), [1000]);
    const second = await opened(1);
    page.dispatchEvent(Object.assign(new Event(back), { persisted: true }));
    two.client.close();
    assert.deepEqual(await until(() => second.closedWith), [1000]);
    await opened(2);
  });
}

test('tabs that are closed hold no lock and wait for none', async (t) => {
  const { locks, opened, tab } = site(t);
  const tabs = [tab(), tab()];
  await opened();
  tabs.forEach(({ client }) => client.close());
  await until(() => locks.names.length === 0);
});

test('nobody hears of a tab before it holds its lock', async (t) => {
  const { name, locks, opened, tab } = site(t);
  let grant = () => {};
  const granted = new Promise<void>((resolve) => (grant = resolve));
  const late: Locks = {
    request: async (lock, ...rest) => {
      if (lock !== `fanfare:${name}`) await granted;
      return locks.request(lock, ...rest);
    },
  };
  const heard: string[] = [];
  const channel = new BroadcastChannel(`fanfare:${name}`);
  t.after(() => channel.close());
  channel.onmessage = ({ data }: MessageEvent<{ kind: string }>) => heard.push(data.kind);
  const { client } = tab(late);
  client.subscribe('a');
  await opened();
  await until(() => heard.includes('leads'));
  for (let turns = 0; turns < 10; turns++) await settled();
  assert.deepEqual(heard, ['leads']);
  grant();
  await until(() => heard.includes('hello'));
});

test('where there are no locks, a tab has a connection of its own', async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: undefined, configurable: true });
  t.after(() => {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  });
  const { made, WebSocket } = sockets();
  const client = connectShared('http://broker.test', { WebSocket, around: new TestSurroundings() });
  await until(() => made[0]);
  client.close();
  assert.deepEqual(made[0]!.closedWith, [1000]);
});

test('a leading tab from which the lock was taken ends its connection, and stands for it again', async (t) => {
  const { name, locks, opened, tab } = site(t);
  tab();
  const socket = await opened();
  let release = () => {};
  void locks.request(`fanfare:${name}`, { steal: true }, () => new Promise<void>((resolve) => (release = resolve)));
  assert.deepEqual(await until(() => socket.closedWith), [1000]);
  await settled();
  release();
  await opened(1);
});
