/** The client over server-sent events, against a scripted HTTP server. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { connect, type Event, type FanfareError, type Options } from '../src/index.js';
import { settled, TestSurroundings } from './support/around.js';
import { broker, sent } from './support/broker.js';
import { sockets } from './support/socket.js';

async function story(t: TestContext, options: Options = {}) {
  const scripted = await broker(t);
  const client = connect(scripted.url, { transports: ['sse'], ...options });
  t.after(() => client.close());
  return { client, ...scripted };
}

async function taken(subscription: AsyncIterator<Event>, count: number): Promise<unknown[]> {
  const events = [];
  for (let at = 0; at < count; at++) {
    const { value } = (await subscription.next()) as { value: Event };
    events.push(value.kind === 'message' ? value.data : value.kind);
  }
  return events;
}

const message = (seq: number, data: unknown = seq, topic = 'a') =>
  sent(['message', topic, `0.k:${seq}`, data], `0.k:${seq}`);
const live = (seq: number) => sent(['live', null, `0.k:${seq}`], `0.k:${seq}`);

test('filters that begin at the same place share a stream, and overlap', async (t) => {
  const { client, next } = await story(t);
  const [one, all] = [client.subscribe('a'), client.subscribe('>')];
  const stream = await next();
  assert.equal(stream.path, '/v1/sse');
  assert.deepEqual(
    [...stream.query],
    [
      ['topic', 'a'],
      ['topic', '>'],
    ],
  );
  stream.write(
    live(5) + message(6) + message(7, 'b', 'b') + sent(['gap', 'b', '0.k:7', '0.k:9', { count: 2 }]) + message(10),
  );
  assert.deepEqual(await taken(one, 3), ['live', 6, 10]);
  assert.deepEqual(await taken(all, 5), ['live', 6, 'b', 'gap', 10]);
});

test('a replay comes before live, and a heartbeat moves the cursor', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a', { after: '0.k:2', last: 3 });
  const stream = await next();
  assert.deepEqual(
    [...stream.query],
    [
      ['topic', 'a'],
      ['after', '0.k:2'],
      ['last', '3'],
    ],
  );
  stream.write(sent(['gap', null, '0.k:2', '0.m:1'], '0.m:1'));
  stream.write(sent(['message', 'a', '0.m:2', 2], '0.m:2') + sent(['live', null, '0.m:3'], '0.m:3'));
  assert.deepEqual(await taken(subscription, 3), ['gap', 2, 'live']);
  stream.write('id: 0.m:9\n\n' + sent(['message', 'a', '0.m:10', 10], '0.m:10'));
  assert.deepEqual(await taken(subscription, 1), [10]);
});

test('a stream that is cut is taken up again from each filter’s cursor', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  const [a, b] = [client.subscribe('a'), client.subscribe('b')];
  const stream = await next();
  stream.write(live(5) + message(6) + 'id: 0.k:7\ndata: ["mess');
  await taken(a, 2);
  stream.response.destroy();
  while (client.status.kind !== 'waiting') await settled();
  await around.pass(250);
  const [again, other] = [await next(), await next()];
  assert.deepEqual(
    [again, other].map(({ query }) => `${query}`),
    ['topic=a&after=0.k%3A6', 'topic=b&after=0.k%3A5'],
  );
  again.write(message(7) + live(9));
  other.write(sent(['message', 'b', '0.k:8', 8], '0.k:8') + live(9));
  assert.deepEqual(await taken(a, 2), [7, 'live']);
  assert.deepEqual(await taken(b, 3), ['live', 8, 'live']);
  const one = await next();
  assert.equal(`${one.query}`, 'topic=a&topic=b&after=0.k%3A9');
  one.write(live(9) + message(10) + message(11, 'b', 'b'));
  assert.deepEqual(await taken(a, 1), [10]);
  assert.deepEqual(await taken(b, 1), ['b']);
});

test('streams that become one bring nothing twice', async (t) => {
  const { client, next } = await story(t);
  const a = client.subscribe('a');
  const first = await next();
  first.write(live(5));
  await taken(a, 1);
  const all = client.subscribe('>');
  const second = await next();
  first.write(message(6));
  await taken(a, 1);
  second.write(live(8));
  const one = await next();
  assert.equal(`${one.query}`, 'topic=a&topic=%3E&after=0.k%3A6');
  one.write(sent(['gap', 'c', '0.k:6', '0.k:7'], undefined) + message(8) + live(8) + message(9));
  assert.deepEqual(await taken(a, 2), [8, 9]);
  assert.deepEqual(await taken(all, 2), ['live', 9]);
});

test('one bad filter spoils no other', async (t) => {
  const { client, next } = await story(t);
  const [good, bad] = [client.subscribe('a'), client.subscribe('a..b')];
  const both = await next();
  both.json(400, { code: 'bad_filter', detail: 'filter "a..b" has an empty segment (2)' });
  const alone = [await next(), await next()];
  alone.find(({ query }) => query.get('topic') === 'a')!.write(live(5));
  alone.find(({ query }) => query.get('topic') === 'a..b')!.json(400, { code: 'bad_filter', detail: 'no' });
  assert.deepEqual(await taken(good, 1), ['live']);
  await assert.rejects(bad.next(), { code: 'bad_filter' });
});

test('filters that are refused together stay apart', async (t) => {
  const { client, next, waiting } = await story(t);
  const all = ['a', 'b'].map((filter, at) => client.subscribe(filter, { after: `0.k:${at}` }));
  const streams = [await next(), await next()];
  streams.forEach((stream) => stream.write(live(5)));
  for (const subscription of all) await taken(subscription, 1);
  (await next()).json(429, { code: 'limit', detail: 'too many topics' });
  const apart = [await next(), await next()];
  apart.forEach((stream) => stream.write(live(5) + message(6) + message(7, 7, 'b')));
  assert.deepEqual([await taken(all[0]!, 1), await taken(all[1]!, 1)], [[6], [7]]);
  assert.equal(waiting(), 0);
});

test('a goodbye says when to come back', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  const subscription = client.subscribe('a');
  const stream = await next();
  stream.write('retry: 2310\n\n' + live(5));
  await taken(subscription, 1);
  stream.write('retry: 1850\n' + sent(['goodbye', 1012, 'the node restarts', { reconnect_after_ms: 1850 }]));
  stream.response.end();
  while (client.status.kind !== 'waiting') await settled();
  assert.deepEqual(client.status, { kind: 'waiting', untilMs: 1850, reason: 'the node restarts' });
});

test('a goodbye for good is one', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a');
  const stream = await next();
  stream.write(sent(['goodbye', 4003, 'an operator ended the session']));
  stream.response.end();
  await assert.rejects(subscription.next(), { closeCode: 4003 });
});

test('a cursor that can’t be used ends its filter', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a', { after: 'x' });
  (await next()).write(sent(['error', null, 'bad_cursor', 'cursor "x" is no position']) + live(5));
  await assert.rejects(subscription.next(), { code: 'bad_cursor' });
});

test('a stream has at most 64 filters and one policy for the slow', async (t) => {
  const { client, next } = await story(t);
  for (let at = 0; at < 65; at++) client.subscribe(`t${at}`);
  client.subscribe('u', { onSlow: 'latest' });
  const streams = [await next(), await next(), await next()];
  const queries = streams.map(({ query }) => [query.getAll('topic').length, query.get('on_slow')]);
  assert.deepEqual(
    queries.sort().reverse(),
    [
      [64, null],
      [1, 'latest'],
      [1, null],
    ]
      .sort()
      .reverse(),
  );
});

test('publishes go by POST, in order, with their keys', async (t) => {
  const { client, next } = await story(t);
  const all = [
    client.publish('a', { x: 1 }, { idempotencyKey: 'k1', headers: { h: '1' }, ttlS: 60 }),
    client.publish('a', Uint8Array.of(0, 1, 255), { idempotencyKey: 'k2' }),
    client.publish('a', 'hi', { idempotencyKey: 'k3', type: 'text/plain' }).catch((error: FanfareError) => error.code),
  ];
  const items = [];
  const results = [
    { topic: 'a', position: '0.k:1', heard: true },
    { topic: 'a', position: '0.k:2', heard: false },
    { error: { code: 'overloaded', detail: 'no room', retry_after_ms: 1000 } },
  ];
  while (items.length < 3) {
    const call = await next();
    assert.deepEqual([call.request.method, call.path], ['POST', '/v1/publish']);
    const body = (await call.body()) as unknown[];
    call.json(200, { results: results.slice(items.length, items.length + body.length) });
    items.push(...body);
  }
  assert.deepEqual(items, [
    { topic: 'a', data: { x: 1 }, idempotency_key: 'k1', headers: { h: '1' }, ttl_s: 60 },
    { topic: 'a', data: 'AAH/', encoding: 'base64', idempotency_key: 'k2' },
    { topic: 'a', data: 'hi', type: 'text/plain', idempotency_key: 'k3' },
  ]);
  assert.deepEqual(
    (await Promise.all(all)).map((one) => (typeof one === 'string' ? one : one.position)),
    ['0.k:1', '0.k:2', 'overloaded'],
  );
});

test('a publish whose answer is cut off is sent again with its key', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  const published = client.publish('a', 1);
  const first = await next();
  const body = await first.body();
  first.response.destroy();
  while (client.status.kind !== 'waiting') await settled();
  await around.pass(250);
  const second = await next();
  assert.deepEqual(await second.body(), body);
  second.json(200, { results: [{ position: '0.k:1', heard: true, repeated: true }] });
  assert.equal((await published).repeated, true);
});

test('history and presence are asked for by HTTP', async (t) => {
  const { client, next } = await story(t);
  const history = client.history('a/ü', { after: '0.k:1', limit: 2 });
  const call = await next();
  assert.equal(call.request.url, '/v1/topics/a%2F%C3%BC/messages?after=0.k%3A1&limit=2');
  call.json(200, { frames: [['message', 'a/ü', '0.k:2', 2]], cursor: '0.k:2', more: false });
  assert.equal((await history).frames.length, 1);
  const presence = client.presence('a');
  (await next()).json(501, { code: 'unsupported', detail: 'presence is not served' });
  await assert.rejects(presence, { code: 'unsupported' });
});

test('a token goes with every call', async (t) => {
  const { client, next } = await story(t, { token: () => 't1' });
  client.subscribe('a');
  assert.equal((await next()).request.headers.authorization, 'Bearer t1');
  void client.publish('a', 1).catch(() => {});
  assert.equal((await next()).request.headers.authorization, 'Bearer t1');
});

test('a proxy that holds everything back and then lets it through at once loses nothing', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a');
  const stream = await next();
  stream.write(live(0) + Array.from({ length: 500 }, (_, at) => message(at + 1)).join(''));
  assert.deepEqual((await taken(subscription, 501)).slice(-1), [500]);
});

test('a proxy that lets nothing through is noticed and told', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  client.subscribe('a');
  const stream = await next();
  const closed = once(stream.response, 'close');
  await around.pass(50_000);
  assert.deepEqual(client.status, { kind: 'waiting', untilMs: 50_250, reason: 'nothing heard in time' });
  await closed;
});

test('an unsubscribed filter leaves the stream, and the last one closes it', async (t) => {
  const { client, next } = await story(t);
  const [a, b] = [client.subscribe('a'), client.subscribe('b')];
  const both = await next();
  both.write(live(5));
  await taken(a, 1);
  b.unsubscribe();
  const one = await next();
  assert.equal(`${one.query}`, 'topic=a&after=0.k%3A5');
  const closed = once(one.response, 'close');
  one.write(live(5));
  a.unsubscribe();
  await closed;
});

test('closing ends every call', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a');
  const stream = await next();
  const closed = once(stream.response, 'close');
  client.close();
  await closed;
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
});

test('where WebSockets do not pass, server-sent events are used', async (t) => {
  const around = new TestSurroundings();
  const { made, WebSocket } = sockets();
  const { client, next } = await story(t, { around, transports: undefined, WebSocket });
  const subscription = client.subscribe('a');
  for (const waitMs of [250, 500, 1000]) {
    await settled();
    made.at(-1)!.end();
    await around.pass(waitMs);
  }
  const stream = await next();
  assert.equal(made.length, 3);
  stream.write(live(5));
  assert.deepEqual(await taken(subscription, 1), ['live']);
});

test('what a proxy answers in the broker’s place is a cut', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  client.subscribe('a');
  (await next()).response.writeHead(502).end('<html>');
  while (client.status.kind !== 'waiting') await settled();
  assert.deepEqual(client.status, { kind: 'waiting', untilMs: 250, reason: 'HTTP 502' });
});

test('at most four streams are open, and the others wait their turn', async (t) => {
  const { client, next, waiting } = await story(t);
  const all = Array.from({ length: 6 }, (_, at) => client.subscribe(`t${at}`, { after: `${at}.k:1` }));
  const streams = [await next(), await next(), await next(), await next()];
  streams.forEach((stream, at) => stream.write(sent(['live', null, `${at}.k:1`], `${at}.k:1`)));
  await taken(all[0]!, 1);
  assert.equal(waiting(), 0);
  all[0]!.unsubscribe();
  assert.equal((await next()).query.get('topic'), 't4');
});
