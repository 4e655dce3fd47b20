/** The client over a scripted WebSocket: how its connections begin and end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, type Client } from '../src/index.js';
import { settled, TestSurroundings } from './support/around.js';
import { begun, message, rejected } from './support/story.js';

test('sent away for good, everything ends with the code and the reason', async () => {
  const { client, socket, statuses, around } = await begun();
  const subscription = client.subscribe('a');
  socket().welcome();
  const published = rejected(client.publish('a', 1));
  socket().bring(['goodbye', 4003, 'an operator ended the session']);
  socket().end(4003);
  const error = await rejected(subscription.next());
  assert.deepEqual([error.code, error.closeCode], ['closed', 4003]);
  assert.equal(error.message, 'the client is closed: an operator ended the session (4003)');
  assert.equal((await published).code, 'closed');
  assert.deepEqual(
    statuses.map(({ kind }) => kind),
    ['connecting', 'connected', 'closed'],
  );
  client.close();
  assert.deepEqual(client.status, { kind: 'closed', code: 4003, reason: 'an operator ended the session' });
  assert.equal((await rejected(client.publish('a', 1))).code, 'closed');
  assert.equal((await rejected(client.subscribe('b').next())).code, 'closed');
  assert.equal(around.timers.size, 0);
});

for (const [state, reach] of [
  ['connecting', () => {}],
  ['connected', ({ socket }) => void socket().welcome()],
  ['waiting', ({ socket }) => socket().end()],
] as [string, (story: Awaited<ReturnType<typeof begun>>) => void][]) {
  test(`closed while ${state}, it leaves nothing behind`, async () => {
    const story = await begun();
    const { client, around, socket, made } = story;
    const subscription = client.subscribe('a');
    reach(story);
    const history = rejected(client.history('a'));
    client.close();
    client.close();
    assert.deepEqual(await subscription.next(), { done: true, value: undefined });
    assert.equal((await history).code, 'closed');
    assert.deepEqual([around.timers.size, around.wakers.size], [0, 0]);
    socket().assertForgotten();
    await around.pass(600_000);
    assert.equal(made.length, 1);
  });
}

test('a silent link is dropped, and the next one goes on', async () => {
  const { client, socket, around, made, statuses } = await begun();
  client.subscribe('a');
  socket().welcome();
  await around.pass(49_999);
  assert.equal(made.length, 1);
  await around.pass(1);
  made[0]!.assertForgotten();
  assert.deepEqual(statuses.at(-1), { kind: 'waiting', afterMs: 250, reason: 'nothing heard in time' });
  await around.pass(250);
  assert.equal(made.length, 2);
});

test('after sleeping it looks at once whether the link still lives', async () => {
  const { socket, around, made } = await begun();
  socket().welcome();
  around.nowMs += 3_600_000;
  around.wake();
  made[0]!.assertForgotten();
  await around.pass(250);
  assert.equal(made.length, 2);
});

for (const [sign, notice] of [
  ['a sign of it', ({ around }) => around.wake()],
  ['a cut', ({ socket }) => socket().end()],
] as [string, (story: Awaited<ReturnType<typeof begun>>) => void][]) {
  test(`after sleeping, ${sign} brings it back without waiting for timers that slept too`, async () => {
    const story = await begun();
    const { around, socket, made } = story;
    socket().welcome();
    await around.pass(1_000);
    around.sleep(600_000);
    notice(story);
    await around.pass(250);
    assert.equal(made.length, 2);
  });
}

test('after a short sleep a link that died is noticed within seconds', async () => {
  const { around, socket, statuses } = await begun();
  socket().welcome({ heartbeat_ms: 20_000 });
  await around.pass(1_000);
  around.sleep(34_000);
  around.wake();
  await around.pass(5_000);
  assert.equal(statuses.at(-1)!.kind, 'waiting');
});

test('a wait that the broker asked for is as long if it was slept through in part', async () => {
  const { around, socket, made } = await begun();
  socket().welcome().bring(['goodbye', 1012, 'the node restarts', { reconnect_after_ms: 9_000 }]);
  socket().end(1012);
  await around.pass(1_000);
  around.sleep(5_000);
  around.wake();
  await around.pass(2_999);
  assert.equal(made.length, 1);
  await around.pass(1);
  assert.equal(made.length, 2);
});

test('a token is fetched before each connection', async () => {
  let count = 0;
  const { around, socket } = await begun({ token: async () => `t${++count}` });
  socket().welcome();
  assert.deepEqual(socket().taken(), [['connect', 1, { token: 't1' }]]);
  socket().end(4501);
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['connect', 2, { token: 't2' }]]);
});

test('a token that can’t be fetched is asked for again', async () => {
  const around = new TestSurroundings();
  let asked = 0;
  const token = () => (asked++ ? 'good' : Promise.reject(new Error('no network')));
  const { statuses, made, socket, client } = await begun({ token, around });
  assert.equal(made.length, 0);
  assert.deepEqual(statuses.at(-1), { kind: 'waiting', afterMs: 250, reason: 'Error: no network' });
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['connect', 1, { token: 'good' }]]);
  client.close();
});

test('a token that comes when its connection was given up changes nothing', async () => {
  const fates: { resolve(token: string): void; reject(error: Error): void }[] = [];
  const token = () => new Promise<string>((resolve, reject) => fates.push({ resolve, reject }));
  const { around, made, socket } = await begun({ token });
  await around.pass(20_250);
  await around.pass(20_500);
  const [first, second, third] = fates;
  second!.reject(new Error('too late'));
  await settled();
  assert.equal(made.length, 0);
  third!.resolve('in time');
  await settled();
  socket().welcome();
  assert.deepEqual(socket().taken(), [['connect', 1, { token: 'in time' }]]);
  first!.resolve('too late');
  await settled();
  assert.deepEqual(socket().taken(), []);
});

test('a token is replaced over the connection that stands, and asked for again if that fails', async () => {
  const around = new TestSurroundings();
  const exp = Math.floor(around.date() / 1000) + 600;
  // Of this name base64 has a + and a /, of which a token has neither.
  const claims = Buffer.from(JSON.stringify({ name: '??>~~~ÿÿ', exp })).toString('base64url');
  assert.match(claims, /-.*_|_.*-/);
  const jwt = (name: string) => `h.${claims}.${name}`;
  let count = 0;
  const token = () => (++count === 2 ? Promise.reject(new Error('no network')) : jwt(`t${count}`));
  const { socket } = await begun({ token, around });
  socket().welcome({ heartbeat_ms: 10_000_000 });
  socket().taken();
  await around.pass(539_000);
  assert.deepEqual(socket().taken(), []);
  await around.pass(1_000);
  assert.deepEqual([count, socket().taken()], [2, []]);
  await around.pass(5_000);
  assert.deepEqual(socket().taken(), [['token', 2, jwt('t3')]]);
});

/** Waits until the client has noticed that its connection is gone; for how long it says it will be. */
async function gone(client: Client): Promise<number> {
  let status = client.status;
  for (; status.kind !== 'waiting'; status = client.status) await settled();
  return status.afterMs;
}

test('a kind of connection that works is kept over any number of cuts', async () => {
  const { client, around, socket, made } = await begun({ transports: ['websocket', 'sse'] });
  for (let cuts = 1; cuts <= 5; cuts++) {
    socket().welcome().end();
    await around.pass(await gone(client));
    assert.equal(made.length, 1 + cuts);
  }
});

test('where the next kind is in vain too, the first is tried again', async () => {
  let calls = 0;
  const fetch = () => Promise.reject(new Error(`call ${++calls} fails`));
  const { client, around, socket, made } = await begun({ transports: ['websocket', 'sse'], fetch });
  for (const failed of [1, 2, 3]) {
    assert.equal(made.length, failed);
    socket().end();
    await around.pass(await gone(client));
  }
  for (const failed of [1, 2, 3]) {
    const afterMs = await gone(client);
    assert.deepEqual([calls, made.length], [failed, 3]);
    await around.pass(afterMs);
  }
  assert.equal(made.length, 4);
});

test('what is no URL of a broker is told', () => {
  for (const url of ['ftp://broker.test', 'http://broker.test/?a=b', 'ws:', 'broker.test']) {
    assert.throws(() => connect(url, { transports: ['sse'] }), /URL/, url);
  }
});

test('where there is no WebSocket and nothing else is wanted, that is told', () => {
  const { WebSocket: real } = globalThis;
  if (real) return;
  assert.throws(() => connect('http://broker.test', { transports: ['websocket'] }), { code: 'unsupported' });
});

test('a callback may do anything to its client', async () => {
  const { client, socket } = await begun();
  const told: unknown[] = [];
  const other = client.subscribe('a', {}, { message: ({ data }) => told.push(['other', data]) });
  const close = (client: Client) => client.close();
  client.subscribe(
    '>',
    {},
    {
      message: ({ data }) => {
        told.push(data);
        if (data === 6) other.unsubscribe();
        if (data === 7) close(client);
      },
    },
  );
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }], ['ok', 2, { cursor: '0.k:5' }], message(6), message(7));
  assert.deepEqual(told, [['other', 6], 6, 7]);
  assert.deepEqual(socket().closedWith, [1000]);
});

test('a callback ends before the next one begins, whatever it does to its client', async () => {
  const { client, socket } = await begun();
  const told: string[] = [];
  const note = () => {
    told.push('begins');
    client.subscribe(`${told.length}`);
    told.push('ends');
  };
  client.subscribe('a', {}, { message: note });
  client.subscribe('>', {}, { message: note });
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }], ['ok', 2, { cursor: '0.k:5' }], message(6));
  assert.deepEqual(told, ['begins', 'ends', 'begins', 'ends']);
});
