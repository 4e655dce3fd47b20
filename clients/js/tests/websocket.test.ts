/** The client over real WebSockets, against a scripted server. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { Codec } from '../src/codec.js';
import { connect, type Client, type Options } from '../src/index.js';
import { msgpack } from '../src/msgpack.js';
import type { SocketClass } from '../src/websocket.js';

type Peer = { socket: WebSocket; offered: string; next(): Promise<unknown[]>; bring(...frames: unknown[][]): void };

/** A server, and a client of it. */
async function story(t: TestContext, codec?: Codec, options: Options = {}) {
  const server = new WebSocketServer({ port: 0, path: '/base/v1/ws' });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
  const client: Client = connect(url, {
    WebSocket: WebSocket as unknown as SocketClass,
    transports: ['websocket'],
    codec,
    ...options,
  });
  t.after(() => {
    client.close();
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { client, server, peer: () => accepted(server, codec) };
}

async function accepted(server: WebSocketServer, codec?: Codec): Promise<Peer> {
  const [socket, request] = (await once(server, 'connection')) as [WebSocket, { headers: Record<string, string> }];
  const frames: Buffer[] = [];
  let news = () => {};
  socket.on('message', (data: Buffer) => {
    frames.push(data);
    news();
  });
  return {
    socket,
    offered: request.headers['sec-websocket-protocol']!,
    async next() {
      while (!frames.length) await new Promise<void>((resolve) => (news = resolve));
      const data = frames.shift()!;
      return (codec ? codec.decode(new Uint8Array(data).slice().buffer) : JSON.parse(String(data))) as unknown[];
    },
    bring: (...all) => all.forEach((frame) => socket.send(codec ? codec.encode(frame) : JSON.stringify(frame))),
  };
}

const WELCOME = ['welcome', null, { session: '1', heartbeat_ms: 25_000, limits: {} }];

test('a filter is followed over JSON', async (t) => {
  const { client, peer } = await story(t);
  const arrives = peer();
  const prices = client.subscribe('prices.*', { last: 1 });
  const broker = await arrives;
  assert.equal(broker.offered, 'fanfare.v1.json');
  assert.deepEqual(await broker.next(), ['subscribe', 1, 'prices.*', { last: 1 }]);
  broker.bring(
    WELCOME,
    ['ok', 1, { cursor: '0.k:5' }],
    ['replay', 'prices.*', ['message', 'prices.a', '0.k:4', 'AAH/', { encoding: 'base64' }]],
  );
  const { value } = await prices.next();
  assert.deepEqual(value.data, Uint8Array.of(0, 1, 255));
  broker.bring(['ping', '0.k:9']);
  assert.deepEqual(await broker.next(), ['pong']);
});

test('a filter is followed and bytes are published over MessagePack', async (t) => {
  const { client, peer } = await story(t, msgpack);
  const arrives = peer();
  const prices = client.subscribe('prices.*');
  const broker = await arrives;
  assert.equal(broker.offered, 'fanfare.v1.msgpack');
  assert.deepEqual(await broker.next(), ['subscribe', 1, 'prices.*']);
  broker.bring(WELCOME, ['ok', 1, { cursor: '0.k:5' }], ['message', 'prices.a', '0.k:6', Uint8Array.of(7)]);
  await prices.next();
  assert.deepEqual((await prices.next()).value.data, Uint8Array.of(7));
  const published = client.publish('icons', Uint8Array.of(1, 2), { idempotencyKey: 'k' });
  assert.deepEqual(await broker.next(), ['publish', 2, 'icons', Uint8Array.of(1, 2), { idempotency_key: 'k' }]);
  broker.bring(['ok', 2, { position: '0.k:7', heard: false }]);
  assert.equal((await published).position, '0.k:7');
});

test('a connection that is cut within a frame is taken up again', async (t) => {
  const { client, server, peer } = await story(t);
  const arrives = peer();
  const prices = client.subscribe('a');
  const broker = await arrives;
  await broker.next();
  broker.bring(WELCOME, ['ok', 1, { cursor: '0.k:5' }]);
  await prices.next();
  const raw = (broker.socket as unknown as { _socket: Socket })._socket;
  const half = Buffer.from([0x81, 0x20, ...Buffer.from('["message","a"')]);
  const again = accepted(server);
  raw.end(half);
  const next = await again;
  assert.deepEqual(await next.next(), ['subscribe', 2, 'a', { after: '0.k:5' }]);
});

test('a frame in the wrong encoding ends it, and the error shows the frame', async (t) => {
  const { client, peer } = await story(t);
  const arrives = peer();
  const prices = client.subscribe('a');
  const broker = await arrives;
  broker.bring(WELCOME);
  const closed = once(broker.socket, 'close');
  broker.socket.send('no frame');
  await assert.rejects(prices.next(), /unreadable frame: "no frame" \(1002\)/);
  assert.equal((await closed)[0], 1005);
  assert.equal(client.status.kind, 'closed');
});

test('closing says 1000', async (t) => {
  const { client, peer } = await story(t);
  const arrives = peer();
  client.subscribe('a');
  const broker = await arrives;
  await broker.next();
  const closed = once(broker.socket, 'close');
  client.close();
  assert.equal((await closed)[0], 1000);
});

test('closed before it stands, it is over without an error', async (t) => {
  const { client } = await story(t);
  client.close();
  assert.deepEqual(client.status, { kind: 'closed', code: 1000, reason: 'closed by this side' });
});
