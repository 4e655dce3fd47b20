/** The protocol's vectors: every frame of a broker is taken, every request that is sent is one of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase64, toBase64 } from '../src/base64.js';
import { comesBack, readCode } from '../src/code.js';
import { json, type Codec } from '../src/codec.js';
import { isCursor, isPosition, replacePart } from '../src/cursor.js';
import type { Event } from '../src/event.js';
import { matches } from '../src/matching.js';
import { msgpack } from '../src/msgpack.js';
import { isName } from '../src/names.js';
import { publishFrame, type SubscribeOptions } from '../src/options.js';
import { createSession, type Output } from '../src/session.js';
import { request } from '../src/session/outbox.js';
import { vectors } from './support/repository.js';

type Vector = Record<string, any>;

/** The vectors of a file in both encodings: name, codec, what a WebSocket carries, vector. */
function frames(file: string): [string, Codec, string | Uint8Array<ArrayBuffer>, Vector][] {
  const found = vectors(file).flatMap((vector: Vector) => [
    ...('json' in vector ? [[`${vector['name']} (json)`, json, vector['json'], vector]] : []),
    ...('msgpack' in vector ? [[`${vector['name']} (msgpack)`, msgpack, bytes(vector['msgpack']), vector]] : []),
  ]);
  assert.ok(found.length > 0, `${file} is empty`);
  return found;
}

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

function decoded(codec: Codec, message: string | Uint8Array<ArrayBuffer>): unknown {
  try {
    return codec.decode(typeof message === 'string' ? message : message.slice().buffer);
  } catch {
    return 'undecodable';
  }
}

/** What a session says to a frame: it follows all filters of the vectors and asked for all that they answer. */
function told(frame: unknown): { outputs: Output[]; status: string } {
  const session = createSession(() => 0.5);
  session.handle(0, { kind: 'begin' });
  session.handle(0, { kind: 'opened' });
  session.handle(0, { kind: 'subscribe', filter: 'orders.>', options: { after: '0.k3f9a:1' } });
  session.handle(0, { kind: 'subscribe', filter: '>', options: {} });
  session.handle(0, { kind: 'frame', frame: ['ok', 1, { cursor: '0.k3f9a:1' }] });
  session.handle(0, { kind: 'frame', frame: ['ok', 2, { cursor: '0.k3f9a:1' }] });
  for (const id of [2, 7, 13, 14, 15, 22, 23, 24, 4]) {
    session.handle(0, { kind: 'request', id, frame: ['history', id, 'a'], bytes: 1, isRepeatable: true });
  }
  const outputs = session.handle(1, { kind: 'frame', frame });
  return { outputs, status: session.status().kind };
}

/** An event as a vector says it. */
function eventIs(event: Event): Vector {
  const { kind, ...rest } = event as Vector;
  const is: Vector = { op: kind, ...rest };
  for (const key of Object.keys(is)) if (is[key] === undefined || key === 'later') delete is[key];
  if (kind !== 'message' && !('data' in is)) return is;
  const { data, type } = is;
  if (data instanceof Uint8Array) is['data'] = { kind: 'binary', base64: toBase64(data), ...(type && { type }) };
  else is['data'] = type ? { kind: 'text', value: data, type } : { kind: 'json', value: data };
  delete is['type'];
  return is;
}

for (const file of ['frames.json', 'frames_tolerated.json']) {
  for (const [name, codec, message, { is }] of frames(file)) {
    test(`a broker's frame is taken: ${name}`, () => {
      const { outputs, status } = told(decoded(codec, message));
      if (is['op'] === 'goodbye') return assert.equal(status, 'connected');
      assert.equal(status, 'connected');
      const events = outputs.flatMap((output) => (output.kind === 'event' ? [output] : []));
      switch (is['op']) {
        case 'message':
        case 'join':
        case 'leave':
          return assert.deepEqual(
            events.map(({ event }) => eventIs(event)),
            [is],
          );
        case 'gap':
          return assert.deepEqual(eventIs(events[0]!.event), is);
        case 'replay':
          return assert.deepEqual(
            events.map(({ filter, event }) => ({ op: 'replay', filter, frame: eventIs(event) })),
            [is],
          );
        case 'live':
          return assert.deepEqual(
            events.map(({ filter, cursor }) => ({ op: 'live', filter, cursor })),
            'filter' in is ? [is] : [],
          );
        case 'ping':
          return assert.deepEqual(outputs.at(-1), { kind: 'moved', filter: '>', cursor: is['cursor'] });
        case 'unsubscribed':
          return 'retry_after_ms' in is
            ? assert.deepEqual(outputs, [])
            : assert.deepEqual(
                outputs.map(
                  (output) => output.kind === 'ended' && [output.filter, output.error.code, output.error.message],
                ),
                [[is['filter'], is['code'], `${is['reason']} (${is['code']})`]],
              );
        case 'ok': {
          const { op, id, ...body } = is;
          const [answer] = outputs as [Output & { kind: 'answered'; result: Vector }];
          const { later, ...result } = answer.result;
          if (result['frames']) result['frames'] = result['frames'].map(eventIs);
          return assert.deepEqual([answer.id, result], [id, body]);
        }
        case 'error': {
          if (!('id' in is)) return assert.deepEqual(outputs, []);
          const [answer] = outputs as [Output & { kind: 'answered'; result: Vector }];
          const { code, message, retryAfterMs } = answer.result;
          return assert.deepEqual(
            [answer.id, code, message, retryAfterMs],
            [is['id'], is['code'], `${is['reason']} (${is['code']})`, is['retry_after_ms']],
          );
        }
        case 'welcome':
          return;
        default:
          assert.fail(`${is['op']} is not looked at`);
      }
    });
  }
}

for (const [name, codec, message, vector] of frames('frames_invalid.json')) {
  test(`what is no frame ends the session and a later version's is skipped: ${name}`, () => {
    const { status } = told(decoded(codec, message));
    assert.equal(status, vector['error'] === 'unknown_op' ? 'connected' : 'closed');
  });
}

/** What a vector's request is made of. */
function written({ op, id, ...is }: Vector, codec: Codec): unknown[] {
  const { topic, filter, data, token, after, last, limit, on_slow: onSlow, presence, echo, ...rest } = is;
  if (op === 'publish') {
    const { idempotency_key: key = false, headers, ttl_s: ttlS } = rest;
    const value = data.kind === 'binary' ? fromBase64(data.base64) : data.value;
    return publishFrame(id, topic, value, key, { type: data.type, headers, ttlS }, codec.isBinary);
  }
  if (op === 'subscribe') return subscribed(id, filter, { after, last, onSlow, presence, echo });
  if (op === 'pong') return ['pong'];
  if (op === 'connect') return request(op, id, undefined, { token, resume: is['resume'] });
  return request(op, id, topic ?? filter ?? token, { after, limit });
}

/** What a session sends for a subscription, with another id. */
function subscribed(id: number, filter: string, options: SubscribeOptions): unknown[] {
  const session = createSession(() => 0.5);
  session.handle(0, { kind: 'begin' });
  session.handle(0, { kind: 'opened' });
  const [sent] = session.handle(0, { kind: 'subscribe', filter, options }) as unknown as [{ frame: unknown[] }];
  return [sent.frame[0], id, ...sent.frame.slice(2)];
}

for (const [name, codec, message, { is }] of frames('requests.json')) {
  test(`a request is written as the vectors have it: ${name}`, () => {
    const encoded = codec.encode(written(is, codec));
    assert.deepEqual(
      typeof encoded === 'string' ? encoded : Buffer.from(encoded).toString('hex'),
      typeof message === 'string' ? message : Buffer.from(message).toString('hex'),
    );
  });
}

test('what each subscriber gets of each publisher is read', () => {
  for (const { subscriber, frame, is, name } of vectors('data.json')) {
    if (subscriber === 'sse') continue;
    const codec = subscriber === 'json' ? json : msgpack;
    const { outputs } = told(decoded(codec, subscriber === 'json' ? frame : bytes(frame)));
    const [event] = outputs.flatMap((output) => (output.kind === 'event' ? [output.event] : []));
    assert.deepEqual(eventIs(event!)['data'], is, name);
  }
});

test('data in one encoding are what they are in the other, within what a number holds', () => {
  for (const { from, to, name } of vectors('transcoded.json')) {
    const text = from.json ?? to.json;
    const hex = from.msgpack ?? to.msgpack;
    assert.deepEqual(msgpack.decode(bytes(hex).buffer), JSON.parse(text), name);
  }
});

test('topics and filters are told from other texts', () => {
  const names = vectors('names.json');
  for (const [kind, isFilter] of [
    ['topics', false],
    ['filters', true],
  ] as const) {
    for (const name of names[kind].valid) assert.ok(isName(name, isFilter), name);
    for (const { text, because } of names[kind].invalid) assert.ok(!isName(text, isFilter), `${text}: ${because}`);
  }
});

test('filters match what the vectors say', () => {
  for (const { filter, matches: hits, misses } of vectors('names.json').matching) {
    const isHit = (topic: string) => matches(filter.split('.'), topic.split('.'));
    for (const topic of hits) assert.ok(isHit(topic), `${filter} ${topic}`);
    for (const topic of misses) assert.ok(!isHit(topic), `${filter} ${topic}`);
  }
});

test('positions and cursors are told from other texts', () => {
  const { positions, cursors } = vectors('cursors.json');
  for (const text of positions.valid) assert.ok(isPosition(text), text);
  for (const text of positions.invalid) assert.ok(!isPosition(text), text);
  for (const { text } of cursors.valid) assert.ok(isCursor(text), text);
  for (const text of cursors.invalid) assert.ok(!isCursor(text), text);
});

test('a part of a cursor is replaced, and it is written in rising order', () => {
  for (const { cursor, by, is } of vectors('cursors.json').replaced) assert.equal(replacePart(cursor, by), is);
  for (const { text, is } of vectors('cursors.json').cursors.valid)
    assert.equal(replacePart(text, is.split(',')[0]), is);
});

test('codes are those of the protocol, and decide whether a client comes back', () => {
  const { errors, closes } = vectors('codes.json');
  for (const { code } of errors) assert.deepEqual(readCode(code, 'why'), [code, 'why']);
  for (const { code, comes_back } of closes) assert.equal(comesBack(code), comes_back, String(code));
});
