/** The client over server-sent events: its calls, and when there is a connection. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, type FanfareError } from '../src/index.js';
import { msgpack } from '../src/msgpack.js';
import { settled, TestSurroundings } from './support/around.js';
import { sockets } from './support/socket.js';
import { taken } from './support/story.js';
import { cut, counted, live, story } from './support/streams.js';

test('publishes go by POST, in order, with their keys', async (t) => {
  const counter = counted('/v1/publish');
  const { client, next } = await story(t, { fetch: counter.fetch });
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
    // What comes later waits until this is answered.
    assert.equal(counter.calls, items.length ? 2 : 1);
    call.json(200, { results: results.slice(items.length, items.length + body.length) });
    items.push(...body);
  }
  assert.deepEqual(items, [
    { topic: 'a', data: { x: 1 }, idempotency_key: 'k1', headers: { h: '1' }, ttl_s: 60 },
    { topic: 'a', data: 'AAH/', encoding: 'base64', idempotency_key: 'k2' },
    { topic: 'a', data: 'hi', type: 'text/plain', idempotency_key: 'k3' },
  ]);
  assert.deepEqual(await Promise.all(all), [
    { position: '0.k:1', heard: true },
    { position: '0.k:2', heard: false },
    'overloaded',
  ]);
});

test('bytes of an encoding that has them are told as base64', async (t) => {
  const { client, next } = await story(t, { codec: msgpack });
  void client.publish('a', Uint8Array.of(0, 1, 255), { idempotencyKey: 'k' }).catch(() => {});
  assert.deepEqual(await (await next()).body(), [{ topic: 'a', data: 'AAH/', encoding: 'base64', idempotency_key: 'k' }]);
});

test('publishes share a call, at most eight, and what it is refused with', async (t) => {
  const { client, next } = await story(t);
  const publish = (data: number) => client.publish('a', data).then(({ position }) => position, ({ code }) => code);
  const all = [publish(0)];
  const first = await next();
  for (let data = 1; data <= 10; data++) all.push(publish(data));
  first.json(200, { results: [{ position: '0.k:1', heard: false }] });
  const second = await next();
  assert.equal((await second.body()).length, 8);
  second.json(503, { code: 'overloaded', detail: 'no room', retry_after_ms: 1000 });
  const third = await next();
  assert.equal((await third.body()).length, 2);
  third.json(200, { results: [2, 3].map((seq) => ({ position: `0.k:${seq}`, heard: false })) });
  assert.deepEqual(await Promise.all(all), ['0.k:1', ...Array(8).fill('overloaded'), '0.k:2', '0.k:3']);
});

test('a publish whose answer is cut off is sent again with its key', async (t) => {
  const around = new TestSurroundings();
  const { client, next } = await story(t, { around });
  const published = client.publish('a', 1);
  const first = await next();
  const body = await first.body();
  first.response.destroy();
  await cut(client);
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

test('an option that is not defined is not asked for', async (t) => {
  const { client, next } = await story(t);
  const history = client.history('a', { after: undefined, limit: 2 });
  const call = await next();
  assert.equal(call.request.url, '/v1/topics/a/messages?limit=2');
  call.json(200, { frames: [], more: false });
  await history;
});

test('a token goes with every call', async (t) => {
  const { client, next } = await story(t, { token: () => 't1' });
  client.subscribe('a');
  assert.equal((await next()).request.headers.authorization, 'Bearer t1');
  void client.publish('a', 1).catch(() => {});
  assert.equal((await next()).request.headers.authorization, 'Bearer t1');
});

test('a token that was replaced goes with no call', async (t) => {
  const around = new TestSurroundings();
  const exp = around.date() / 1000 + 10;
  const jwt = (name: string) => `${name}.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.`;
  let count = 0;
  const { client, next } = await story(t, { around, token: () => jwt(`t${++count}`) });
  client.subscribe('a');
  assert.equal((await next()).request.headers.authorization, `Bearer ${jwt('t1')}`);
  await around.pass(8_000);
  void client.publish('a', 1).catch(() => {});
  assert.equal((await next()).request.headers.authorization, `Bearer ${jwt('t2')}`);
});

test('a broker that is not well is no connection', async () => {
  const around = new TestSurroundings();
  const fetch = async () => new Response('no', { status: 503 });
  const statuses: string[] = [];
  const onStatus = ({ kind }: { kind: string }) => statuses.push(kind);
  const client = connect('http://broker.test', { transports: ['sse'], fetch, around, onStatus });
  await cut(client);
  assert.deepEqual(statuses, ['connecting', 'waiting']);
  client.close();
});

test('closing ends every call', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a');
  const published = client.publish('a', 1).catch((error: FanfareError) => error.code);
  const closed = [await next(), await next()].map(({ response }) => once(response, 'close'));
  client.close();
  await Promise.all(closed);
  assert.equal(await published, 'closed');
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
});

test('closed before it stands, it ends its call', async () => {
  let asked: RequestInit | undefined;
  const fetch = (_url: string, init?: RequestInit) => ((asked = init), new Promise<Response>(() => {}));
  const client = connect('http://broker.test', { transports: ['sse'], fetch });
  client.close();
  while (!asked) await settled();
  await settled();
  assert.ok(asked.signal!.aborted);
  // What a cache has of a stream is of the past.
  assert.equal(asked.cache, 'no-store');
});

test('what calls HTTP is called as a browser’s may be, as nobody’s method', async () => {
  let self: unknown = 'not called';
  function fetch(this: unknown) {
    self = this;
    return Promise.resolve(new Response('ok'));
  }
  const client = connect('http://broker.test', { transports: ['sse'], fetch });
  while (client.status.kind !== 'connected') await settled();
  assert.equal(self, undefined);
  client.close();
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
  await cut(client);
  assert.deepEqual(client.status, { kind: 'waiting', afterMs: 250, reason: 'HTTP 502' });
});
