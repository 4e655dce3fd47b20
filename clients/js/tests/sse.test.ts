/** The client over server-sent events: its streams. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { settled, TestSurroundings } from './support/around.js';
import { sent } from './support/broker.js';
import { taken } from './support/story.js';
import { counted, cut, live, message, story } from './support/streams.js';

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
  // A cursor alone says nothing of being caught up.
  stream.write(sent(['gap', null, '0.k:2', '0.m:1'], '0.m:1') + 'id: 0.m:1\n\n');
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
  await cut(client);
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

test('after a gap that sets it back nothing is taken for known', async (t) => {
  const { client, next } = await story(t);
  const a = client.subscribe('a');
  (await next()).write(live(5));
  await taken(a, 1);
  const all = client.subscribe('>');
  (await next()).write(live(8));
  await taken(all, 1);
  const one = await next();
  assert.equal(one.query.get('after'), '0.k:5');
  one.write(sent(['gap', null, '0.k:5', '0.k:2'], '0.k:2') + message(3) + live(3));
  assert.deepEqual(await taken(a, 2), ['gap', 3]);
  assert.deepEqual(await taken(all, 2), ['gap', 3]);
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
  await cut(client);
  assert.deepEqual(client.status, { kind: 'waiting', afterMs: 1850, reason: 'the node restarts' });
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

test('the filters of a stream fit into the head of a request', async (t) => {
  const { client, next } = await story(t);
  for (let at = 0; at < 30; at++) client.subscribe(`${at}.${'x'.repeat(200)}.${'y'.repeat(40)}`);
  const streams = [await next(), await next()];
  assert.equal(streams.flatMap(({ query }) => query.getAll('topic')).length, 30);
  for (const { request } of streams) assert.ok(request.url!.length < 8_000, request.url);
});

test('streams of one policy for the slow become one of that policy, and leave the others alone', async (t) => {
  const { client, next } = await story(t);
  const all = [client.subscribe('a', { onSlow: 'latest' }), client.subscribe('b')];
  all.push(client.subscribe('c', { onSlow: 'latest', after: '0.k:3' }));
  const streams = [await next(), await next(), await next()];
  streams.forEach((stream) => stream.write(live(5)));
  for (const subscription of all) await taken(subscription, 1);
  const { query } = await next();
  assert.deepEqual([query.getAll('topic').sort(), query.get('on_slow')], [['a', 'c'], 'latest']);
});

test('a filter that the broker ends later is told so', async (t) => {
  const { client, next } = await story(t);
  const subscription = client.subscribe('a');
  const stream = await next();
  stream.write(live(5));
  await taken(subscription, 1);
  stream.write(sent(['error', null, 'forbidden', 'no more']));
  await assert.rejects(subscription.next(), { code: 'forbidden', message: 'no more (forbidden)' });
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
  assert.deepEqual(client.status, { kind: 'waiting', afterMs: 250, reason: 'nothing heard in time' });
  await closed;
});

/** A broker of one stream, of which a test writes the bytes. */
function streaming() {
  let stream: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (made) => void (stream = made) });
  return {
    fetch: async (url: string) => new Response(url.endsWith('/healthz') ? 'ok' : body),
    write: (bytes: string | Uint8Array) => stream.enqueue(Buffer.from(bytes as string)),
  };
}

test('a stream of which only a piece comes is not silent', async (t) => {
  const around = new TestSurroundings();
  const { fetch, write } = streaming();
  const { client } = await story(t, { fetch, around });
  const subscription = client.subscribe('a');
  write(live(5));
  await taken(subscription, 1);
  await around.pass(40_000);
  write('data: ["message",');
  await settled();
  await around.pass(49_999);
  assert.equal(client.status.kind, 'connected');
  await around.pass(1);
  assert.equal(client.status.kind, 'waiting');
});

test('a character that comes in two pieces is one', async (t) => {
  const { fetch, write } = streaming();
  const { client } = await story(t, { fetch });
  const subscription = client.subscribe('a');
  const bytes = Buffer.from(live(5) + message(6, 'ü'));
  const middle = bytes.indexOf('ü') + 1;
  write(bytes.subarray(0, middle));
  await taken(subscription, 1);
  write(bytes.subarray(middle));
  assert.deepEqual(await taken(subscription, 1), ['ü']);
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

test('at most four streams are open, and the others wait their turn', async (t) => {
  const counter = counted('/v1/sse');
  const { client, next } = await story(t, { fetch: counter.fetch });
  const all = Array.from({ length: 6 }, (_, at) => client.subscribe(`t${at}`, { after: `${at}.k:1` }));
  const streams = [await next(), await next(), await next(), await next()];
  streams.forEach((stream, at) => stream.write(sent(['live', null, `${at}.k:1`], `${at}.k:1`)));
  for (const one of all.slice(0, 4)) await taken(one, 1);
  assert.equal(counter.calls, 4);
  all[0]!.unsubscribe();
  assert.equal((await next()).query.get('topic'), 't4');
});
