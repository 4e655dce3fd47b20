/** The client over a scripted WebSocket: what its user follows and publishes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FanfareError } from '../src/index.js';
import { begun, message, rejected, taken } from './support/story.js';

test('a filter is followed by iterating what it brings', async () => {
  const { client, socket } = await begun();
  const prices = client.subscribe<number>('a');
  assert.equal(socket().url, 'ws://broker.test:8900/v1/ws');
  assert.deepEqual(socket().protocols, ['fanfare.v1.json']);
  assert.equal(socket().binaryType, 'arraybuffer');
  socket().welcome();
  assert.deepEqual(socket().taken(), [['subscribe', 1, 'a']]);
  socket().bring(['ok', 1, { cursor: '0.k:5' }], message(6), ['gap', 'a', '0.k:6', '0.k:8'], message(9));
  assert.deepEqual(await taken(prices, 4), ['live', 6, 'gap', 9]);
  assert.equal(prices.cursor, '0.k:9');
  const waiting = prices.next();
  socket().bring(message(10, { price: 3 }));
  assert.deepEqual(await waiting, {
    done: false,
    value: { kind: 'message', topic: 'a', position: '0.k:10', data: { price: 3 } },
  });
});

test('a filter is followed by callbacks, and what one throws spoils nothing', async (t) => {
  const { client, socket } = await begun();
  const told: unknown[] = [];
  const later = t.mock.method(globalThis, 'queueMicrotask', () => {});
  const subscription = client.subscribe(
    'a',
    { last: 1 },
    {
      message: ({ data }) => {
        told.push(data);
        if (data === 7) throw new Error('mine');
      },
      live: ({ cursor }) => told.push(cursor),
      end: (error) => told.push(['end', error?.code]),
    },
  );
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:7' }], ['replay', 'a', message(7)], ['live', 'a', '0.k:7'], message(8));
  socket().bring(['unsubscribed', 'a', 'forbidden', 'no more']);
  assert.deepEqual(told, [7, '0.k:7', 8, ['end', 'forbidden']]);
  assert.equal(subscription.cursor, '0.k:8');
  const [thrown] = later.mock.calls as unknown as [{ arguments: [() => void] }];
  assert.throws(thrown.arguments[0], { message: 'mine' });
});

test('a loop that is left unsubscribes', async () => {
  const { client, socket } = await begun();
  const subscription = client.subscribe('a');
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }]);
  for await (const event of subscription) {
    assert.equal(event.kind, 'live');
    break;
  }
  assert.deepEqual(socket().taken(), [
    ['subscribe', 1, 'a'],
    ['unsubscribe', 2, 'a'],
  ]);
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
});

test('a filter may be left in every state, and followed again', async () => {
  const { client, socket, around } = await begun();
  client.subscribe('a').unsubscribe();
  client.subscribe('a');
  socket().welcome();
  assert.deepEqual(socket().taken(), [['subscribe', 1, 'a']]);
  const asked = client.subscribe('b', { last: 2 });
  asked.unsubscribe();
  asked.unsubscribe();
  assert.deepEqual(socket().taken(), [
    ['subscribe', 2, 'b', { last: 2 }],
    ['unsubscribe', 3, 'b'],
  ]);
  const replaying = client.subscribe('b', { last: 2 });
  socket().bring(
    ['ok', 2, { cursor: '0.k:5' }],
    ['ok', 3, {}],
    ['ok', 4, { cursor: '0.k:5' }],
    ['replay', 'b', message(4, 4, 'b')],
  );
  assert.deepEqual(await taken(replaying, 1), [4]);
  replaying.unsubscribe();
  const retried = client.subscribe('c');
  socket().taken();
  socket().bring(['error', 6, 'unavailable', 'away', { retry_after_ms: 100 }]);
  retried.unsubscribe();
  await around.pass(200);
  assert.deepEqual(socket().taken(), []);
  socket().end();
  client.subscribe('d').unsubscribe();
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['subscribe', 7, 'a']]);
});

test('what waits is taken first when a filter ends, by whomever', async () => {
  const { client, socket } = await begun();
  const [ended, left] = [client.subscribe('a'), client.subscribe('>')];
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }], ['ok', 2, { cursor: '0.k:5' }], message(6));
  socket().bring(['unsubscribed', 'a', 'forbidden', 'no more']);
  left.unsubscribe();
  socket().bring(message(7));
  assert.deepEqual(await taken(ended, 2), ['live', 6]);
  assert.equal((await rejected(ended.next())).code, 'forbidden');
  assert.deepEqual(await taken(left, 2), ['live', 6]);
  assert.deepEqual(await left.next(), { done: true, value: undefined });
});

test('everybody who waits for an event is told of the end', async () => {
  const { client } = await begun();
  const subscription = client.subscribe('a');
  const waiting = [subscription.next(), subscription.next()];
  subscription.unsubscribe();
  for (const one of waiting) assert.deepEqual(await one, { done: true, value: undefined });
});

test('a subscription that has ended says so once, and leaves alone the one that came after it', async () => {
  const { client, socket } = await begun();
  let ends = 0;
  const first = client.subscribe('a', {}, { end: () => ends++ });
  first.unsubscribe();
  first.unsubscribe();
  assert.equal(ends, 1);
  const second = client.subscribe('a');
  first.unsubscribe();
  assert.equal(ends, 1);
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }]);
  assert.deepEqual(socket().taken(), [['subscribe', 1, 'a']]);
  assert.deepEqual(await taken(second, 1), ['live']);
});

test('a filter that is refused ends with the broker’s words', async () => {
  const { client, socket } = await begun();
  const subscription = client.subscribe('a..b');
  socket().welcome().bring(['error', 1, 'bad_filter', 'filter "a..b" has an empty segment (2)']);
  const error = await rejected(subscription.next());
  assert.ok(error instanceof FanfareError);
  assert.equal(error.code, 'bad_filter');
  assert.equal(error.message, 'filter "a..b" has an empty segment (2) (bad_filter)');
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
});

test('a filter that is refused for a time is asked for again after it', async () => {
  const { client, socket, around } = await begun();
  client.subscribe('a');
  socket().welcome().bring(['error', 1, 'unavailable', 'the backplane is away', { retry_after_ms: 2_000 }]);
  socket().taken();
  await around.pass(1_999);
  assert.deepEqual(socket().taken(), []);
  await around.pass(1);
  assert.deepEqual(socket().taken(), [['subscribe', 2, 'a']]);
});

test('a filter is followed once', async () => {
  const { client } = await begun();
  client.subscribe('a');
  assert.throws(() => client.subscribe('a'), { code: 'already_subscribed' });
});

test('a slow reader holds up nobody and loses nothing', async () => {
  const { client, socket } = await begun({ queueEventsMax: 4 });
  const slow = client.subscribe('a');
  const fast: unknown[] = [];
  client.subscribe('>', {}, { message: ({ data }) => fast.push(data) });
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:5' }], ['ok', 2, { cursor: '0.k:5' }]);
  socket().taken();
  socket().bring(message(6), message(7), message(8));
  assert.deepEqual(socket().taken(), [['unsubscribe', 3, 'a']]);
  socket().bring(message(9), ['ok', 3, {}], message(10));
  assert.deepEqual(await taken(slow, 1), ['live']);
  assert.deepEqual(socket().taken(), []);
  assert.deepEqual(await taken(slow, 1), [6]);
  assert.deepEqual(socket().taken(), [['subscribe', 4, 'a', { after: '0.k:8' }]]);
  socket().bring(
    ['ok', 4, { cursor: '0.k:8', resumed: true }],
    ['replay', 'a', message(9)],
    ['replay', 'a', message(10)],
  );
  assert.deepEqual(await taken(slow, 2), [7, 8]);
  assert.deepEqual(socket().taken(), [
    ['unsubscribe', 5, 'a'],
    ['subscribe', 6, 'a', { after: '0.k:10' }],
  ]);
  socket().bring(['ok', 5, {}], ['ok', 6, { cursor: '0.k:10', resumed: true }], ['live', 'a', '0.k:10']);
  assert.deepEqual(await taken(slow, 3), [9, 10, 'live']);
  assert.deepEqual(fast, [6, 7, 8, 9, 10]);
});

test('a subscription’s cursor is that of what was taken, and a ping moves it once all is taken', async () => {
  const { client, socket } = await begun();
  const subscription = client.subscribe('a', { after: '0.k:3' });
  assert.equal(subscription.cursor, '0.k:3');
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:3', resumed: true }], ['live', 'a', '0.k:5'], message(6), ['ping', '0.k:9']);
  assert.equal(subscription.cursor, '0.k:3');
  await taken(subscription, 1);
  assert.equal(subscription.cursor, '0.k:5');
  await taken(subscription, 1);
  assert.equal(subscription.cursor, '0.k:9');
  socket().bring(['ping', '0.k:20']);
  assert.equal(subscription.cursor, '0.k:20');
});

test('what was published before a cut is published once after it', async () => {
  const { client, socket, around } = await begun();
  socket().welcome();
  const published = client.publish('a', { x: 1 });
  const [first] = socket().taken() as [[string, number, string, unknown, { idempotency_key: string }]];
  assert.deepEqual(first.slice(0, 4), ['publish', 1, 'a', { x: 1 }]);
  assert.match(first[4].idempotency_key, /^[\d-]{7,64}$/);
  socket().end();
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [first]);
  socket().bring(['ok', 1, { position: '0.k:7', heard: true, repeated: true }]);
  assert.deepEqual(await published, { position: '0.k:7', heard: true, repeated: true });
});

test('each publish has a key of its own', async () => {
  const { client, socket } = await begun();
  socket().welcome();
  for (const topic of ['a', 'a', 'b']) void client.publish(topic, 1);
  const keys = socket()
    .taken()
    .map((frame) => (frame as [{ idempotency_key: string }]).at(-1)!.idempotency_key);
  assert.equal(new Set(keys).size, 3);
});

test('what is too long for the broker is refused by its bytes, not its characters', async () => {
  const { client, socket } = await begun();
  socket().welcome({ limits: { frame_bytes: 100 } });
  const refused = rejected(client.publish('a', 'ü'.repeat(50), { idempotencyKey: false }));
  void client.publish('a', 'u'.repeat(50), { idempotencyKey: false });
  assert.equal((await refused).code, 'too_large');
  assert.deepEqual(
    socket()
      .taken()
      .map((frame) => (frame as unknown[])[3]),
    ['u'.repeat(50)],
  );
});

test('without a key a cut leaves a publish unclear', async () => {
  const { client, socket } = await begun();
  socket().welcome();
  const published = rejected(client.publish('a', 1, { idempotencyKey: false }));
  assert.deepEqual(socket().taken(), [['publish', 1, 'a', 1]]);
  socket().end();
  assert.equal((await published).code, 'unclear');
});

test('without a key what was not sent before a cut is sent after it', async () => {
  const { client, socket, around } = await begun();
  const published = client.publish('a', 1, { idempotencyKey: false });
  socket().end();
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['publish', 1, 'a', 1]]);
  socket().bring(['ok', 1, { position: '0.k:7', heard: true }]);
  assert.equal((await published).position, '0.k:7');
});

test('a history that was asked for long ago is asked for again', async () => {
  const { client, socket, around } = await begun();
  socket().welcome({ heartbeat_ms: 1_000_000 });
  const history = client.history('a');
  await around.pass(100_000);
  assert.deepEqual(socket().taken(), [['history', 1, 'a']]);
  socket().end();
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['history', 1, 'a']]);
  socket().bring(['ok', 1, { frames: [], more: false }]);
  assert.deepEqual(await history, { frames: [], more: false });
});

test('requests that wait for a connection are bounded in number', async () => {
  const { client, socket } = await begun();
  const all = Array.from({ length: 1_024 }, (_, at) => client.publish('a', at));
  assert.equal((await rejected(client.publish('a', 'too many'))).code, 'limit');
  socket().welcome();
  for (let id = 1; id <= all.length; id++) socket().bring(['ok', id, { position: `0.k:${id}`, heard: false }]);
  assert.equal((await Promise.all(all)).at(-1)!.position, '0.k:1024');
});

test('everything that is asked for is asked for again at once after a cut', async () => {
  const { client, socket, around } = await begun();
  socket().welcome({ resume: 'r-7' });
  client.subscribe('a');
  client.subscribe('b', { last: 3 });
  const history = client.history('a', { limit: 1 });
  socket().bring(['ok', 1, { cursor: '0.k:5' }]);
  socket().end();
  await around.pass(250);
  socket().welcome();
  assert.deepEqual(socket().taken(), [
    ['connect', 4, { resume: 'r-7' }],
    ['subscribe', 5, 'a', { after: '0.k:5' }],
    ['subscribe', 6, 'b', { last: 3 }],
    ['history', 3, 'a', { limit: 1 }],
  ]);
  socket().bring(['ok', 3, { frames: [message(5), ['later']], cursor: '0.k:5', more: false }]);
  const read = await history;
  assert.deepEqual(read, {
    frames: [{ kind: 'message', topic: 'a', position: '0.k:5', data: 5 }],
    cursor: '0.k:5',
    more: false,
  });
});

test('what a broker does not serve is said so', async () => {
  const { client, socket } = await begun();
  socket().welcome();
  const presence = rejected(client.presence('room.1'));
  assert.deepEqual(socket().taken(), [['presence', 1, 'room.1']]);
  socket().bring(['error', 1, 'unsupported', 'presence is not served']);
  assert.equal((await presence).code, 'unsupported');
});

test('data that JSON can’t say are refused before anything is sent', async () => {
  const { client, socket } = await begun();
  socket().welcome();
  const cycle: unknown[] = [];
  cycle.push(cycle);
  await assert.rejects(client.publish('a', cycle), TypeError);
  assert.deepEqual(socket().taken(), []);
});

test('a node that forgot everything is followed in its new epoch', async () => {
  const { client, socket, around } = await begun();
  const subscription = client.subscribe('a');
  socket()
    .welcome()
    .bring(['ok', 1, { cursor: '0.k:90' }], message(91));
  socket().bring(['goodbye', 1012, 'the node restarts', { reconnect_after_ms: 40 }]);
  socket().end(1012);
  await around.pass(40);
  socket().welcome();
  assert.deepEqual(socket().taken(), [['subscribe', 2, 'a', { after: '0.k:91' }]]);
  socket().bring(['ok', 2, { cursor: '0.k:91', resumed: false }], ['replay', 'a', ['gap', null, '0.k:91', '0.m:0']]);
  socket().bring(['replay', 'a', ['message', 'a', '0.m:1', 'new']], ['live', 'a', '0.m:1']);
  assert.deepEqual(await taken(subscription, 5), ['live', 91, 'gap', 'new', 'live']);
  assert.equal(subscription.cursor, '0.m:1');
});
