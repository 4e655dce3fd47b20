/** One connection for all tabs. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import type { Client, Event } from '../src/index.js';
import { connectShared } from '../src/shared.js';
import type { Locks } from '../src/shared/leader.js';
import { settled, TestSurroundings } from './support/around.js';
import { sockets, type TestSocket } from './support/socket.js';

interface Asked {
  readonly signal: AbortSignal | undefined;
  held(): Promise<void> | void;
  resolve(value?: void): void;
  reject(error: Error): void;
}

/** Locks as browsers have them: each is held until what was called is done, or until it is stolen. */
class TestLocks implements Locks {
  readonly #queues = new Map<string, Asked[]>();

  request(
    name: string,
    { signal, steal }: { signal?: AbortSignal; steal?: boolean },
    held: () => Promise<void> | void,
  ): Promise<unknown> {
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise<void>((resolve, reject) => {
      const asked = { signal, held, resolve, reject };
      if (steal) queue.splice(0, 1, asked)[0]?.reject(new Error('stolen'));
      else queue.push(asked);
      if (queue[0] === asked) void this.#grant(queue);
    });
  }

  async #grant(queue: Asked[]): Promise<void> {
    const asked = queue[0]!;
    await settled();
    if (queue[0] === asked && !asked.signal?.aborted) await asked.held();
    asked.resolve();
    if (queue[0] !== asked) return;
    queue.shift();
    if (queue.length) void this.#grant(queue);
  }
}

let stories = 0;

/** Tabs of one site, and the sockets that they open. */
function site(t: TestContext) {
  const locks = new TestLocks();
  const { made, WebSocket } = sockets();
  const name = `site-${++stories}`;
  const clients: Client[] = [];
  t.after(() => clients.forEach((client) => client.close()));
  return {
    name,
    locks,
    made,
    tab() {
      const around = new TestSurroundings();
      const client = connectShared('http://broker.test', { name, locks, WebSocket, around, transports: ['websocket'] });
      clients.push(client);
      return { client, around };
    },
  };
}

/** Waits, turn by turn, until it is so. */
async function until<T>(found: () => T | undefined | false): Promise<T> {
  for (;;) {
    const it = found();
    if (it) return it;
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(0);
    await once(port2 as unknown as EventTarget, 'message');
    port1.close();
  }
}

async function next(subscription: AsyncIterator<Event>): Promise<unknown> {
  const { value } = (await subscription.next()) as { value: Event };
  return value.kind === 'message' ? value.data : value.kind;
}

/** The socket's next request, once it is there. */
const asked = (socket: TestSocket) => until(() => socket.sent.length > 0 && JSON.parse(socket.sent.shift()!));

test('tabs share one connection, and a filter that both follow', async (t) => {
  const { made, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  const socket = await until(() => made[0]);
  socket.welcome();
  assert.deepEqual(await asked(socket), ['subscribe', 1, 'a']);
  socket.bring(['ok', 1, { cursor: '0.k:5' }]);
  assert.equal(await next(first), 'live');
  const second = two.subscribe('a');
  assert.equal(await next(second), 'live');
  socket.bring(['message', 'a', '0.k:6', 6]);
  assert.deepEqual([await next(first), await next(second)], [6, 6]);
  assert.deepEqual([first.cursor, second.cursor], ['0.k:6', '0.k:6']);
  first.unsubscribe();
  socket.bring(['message', 'a', '0.k:7', 7]);
  assert.equal(await next(second), 7);
  second.unsubscribe();
  assert.deepEqual(await asked(socket), ['unsubscribe', 2, 'a']);
  assert.equal(made.length, 1);
});

test('tabs that begin at the same time share from the beginning', async (t) => {
  const { made, tab } = site(t);
  const [first, second] = [tab(), tab()].map(({ client }) => client.subscribe('a'));
  const socket = await until(() => made[0]);
  socket.welcome();
  assert.deepEqual(await asked(socket), ['subscribe', 1, 'a']);
  const both = Promise.all([next(first!), next(second!)]);
  socket.bring(['ok', 1, { cursor: '0.k:5' }]);
  assert.deepEqual(await both, ['live', 'live']);
  assert.equal(made.length, 1);
});

test('a tab publishes over the connection of another', async (t) => {
  const { made, tab } = site(t);
  tab();
  const { client } = tab();
  const published = client.publish('a', Uint8Array.of(1), { idempotencyKey: 'k', ttlS: 5 });
  const socket = await until(() => made[0]);
  socket.welcome();
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
  const { made, tab } = site(t);
  const one = tab();
  const socket = await until(() => made[0]);
  socket.welcome();
  const two = tab();
  const subscription = two.client.subscribe('a');
  await asked(socket);
  socket.bring(['ok', 1, { cursor: '0.k:5' }], ['message', 'a', '0.k:6', 6]);
  assert.deepEqual([await next(subscription), await next(subscription)], ['live', 6]);
  one.client.close();
  assert.deepEqual(await until(() => socket.closedWith), [1000]);
  await until(() => two.client.status.kind === 'waiting');
  await two.around.pass(250);
  const again = await until(() => made[1]);
  again.welcome();
  assert.deepEqual(await asked(again), ['subscribe', 1, 'a', { after: '0.k:6' }]);
  again.bring(
    ['ok', 1, { cursor: '0.k:6', resumed: true }],
    ['replay', 'a', ['message', 'a', '0.k:7', 7]],
    ['live', 'a', '0.k:7'],
  );
  assert.deepEqual([await next(subscription), await next(subscription)], [7, 'live']);
});

test('a filter that begins elsewhere gets a connection until it has caught up', async (t) => {
  const { made, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const first = one.subscribe('a');
  const socket = await until(() => made[0]);
  socket.welcome().bring(['ok', 1, { cursor: '0.k:5' }]);
  await asked(socket);
  socket.bring(['ok', 1, { cursor: '0.k:5' }]);
  await next(first);
  const second = two.subscribe('a', { last: 1 });
  const aside = await until(() => made[1]);
  aside.welcome();
  assert.deepEqual(await asked(aside), ['subscribe', 1, 'a', { last: 1 }]);
  aside.bring(['ok', 1, { cursor: '0.k:5' }], ['replay', 'a', ['message', 'a', '0.k:4', 4]], ['live', 'a', '0.k:5']);
  assert.deepEqual([await next(second), await next(second)], [4, 'live']);
  assert.deepEqual(aside.closedWith, [1000]);
  socket.bring(['message', 'a', '0.k:6', 6]);
  assert.deepEqual([await next(first), await next(second)], [6, 6]);
});

test('a connection that is closed for good is closed for all', async (t) => {
  const { made, tab } = site(t);
  const [one, two] = [tab().client, tab().client];
  const subscription = two.subscribe('a');
  const socket = await until(() => made[0]);
  socket.welcome();
  await asked(socket);
  socket.end(4003, 'an operator ended the session');
  await assert.rejects(subscription.next(), /an operator ended the session \(4003\)/);
  await until(() => one.status.kind === 'closed');
  const late = tab().client;
  await until(() => late.status.kind === 'closed');
});

test('a tab that holds the lock and says nothing is not waited for', async (t) => {
  const { name, locks, made, tab } = site(t);
  const { promise: thaw, resolve } = withResolvers();
  const stolen = assert.rejects(
    locks.request(`fanfare:${name}`, {}, () => thaw),
    /stolen/,
  );
  const { client, around } = tab();
  const subscription = client.subscribe('a');
  await until(() => around.timers.size === 2);
  await around.pass(4_499);
  assert.equal(made.length, 0);
  await around.pass(1);
  const socket = await until(() => made[0]);
  await stolen;
  resolve();
  socket.welcome();
  assert.deepEqual(await asked(socket), ['subscribe', 1, 'a']);
  socket.bring(['ok', 1, { cursor: '0.k:5' }]);
  assert.equal(await next(subscription), 'live');
});

test('a leading tab that is quiet is asked, answers, and goes on leading', async (t) => {
  const { made, tab } = site(t);
  const [one, two] = [tab(), tab()];
  const first = one.client.subscribe('a');
  const second = two.client.subscribe('a');
  const socket = await until(() => made[0]);
  socket.welcome();
  await asked(socket);
  socket.bring(['ok', 1, { cursor: '0.k:5' }]);
  assert.deepEqual([await next(first), await next(second)], ['live', 'live']);
  for (let round = 0; round < 12; round++) {
    await two.around.pass(5_000);
    // Its doubt rings then, unless there is an answer.
    await until(() => [...two.around.timers].every(({ dueMs }) => dueMs !== two.around.nowMs + 4_500));
  }
  assert.equal(made.length, 1);
});

function withResolvers() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
