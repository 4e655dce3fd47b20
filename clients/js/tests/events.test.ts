/** The format of server-sent events, cut anywhere. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventReader, type ServerEvent } from '../src/sse/events.js';
import { vectors } from './support/repository.js';

const STREAM =
  '\uFEFFid: 0.k:1\r\ndata: ["message","a","0.k:1","ü"]\r\n\r\n: comment\nretry: 10\nevent: x\n\n' +
  'data: ["gap","a",\rdata: "0.k:1","0.k:2"]\r\rid: 0.k:9\n\nid:0.k:10\ndata:["live",null,\ndata\ndata: "0.k:10"]\n\nid: 0.k:11\ndata: cut';
const EVENTS: ServerEvent[] = [
  { id: '0.k:1', data: '["message","a","0.k:1","ü"]' },
  { id: undefined, data: '["gap","a",\n"0.k:1","0.k:2"]' },
  { id: '0.k:9', data: undefined },
  { id: '0.k:10', data: '["live",null,\n\n"0.k:10"]' },
];

test('a stream is read alike wherever it is cut', () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let at = 0; at <= bytes.length; at++) {
    const [reader, decoder] = [new EventReader(), new TextDecoder('utf-8', { ignoreBOM: true })];
    const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
    const events = pieces.flatMap((piece) => reader.read(decoder.decode(piece, { stream: true })));
    assert.deepEqual(events, EVENTS, `cut at ${at}`);
  }
});

test('a stream is read byte by byte', () => {
  const [reader, decoder] = [new EventReader(), new TextDecoder('utf-8', { ignoreBOM: true })];
  const bytes = new TextEncoder().encode(STREAM);
  const events = [...bytes].flatMap((byte) => reader.read(decoder.decode(Uint8Array.of(byte), { stream: true })));
  assert.deepEqual(events, EVENTS);
});

test('what each publisher sends is read from a stream', () => {
  for (const { subscriber, frame, name } of vectors('data.json')) {
    if (subscriber !== 'sse') continue;
    const [event] = new EventReader().read(frame);
    assert.equal(event!.id, '0.k3f9a:10492', name);
    assert.equal(JSON.parse(event!.data!)[0], 'message', name);
  }
});

test('an event that never ends is not kept for ever', () => {
  const reader = new EventReader();
  const line = `data: ${'x'.repeat(1 << 20)}\n`;
  assert.throws(() => {
    for (let count = 0; count < 17; count++) reader.read(line);
  }, /over 16777216 characters/);
});
