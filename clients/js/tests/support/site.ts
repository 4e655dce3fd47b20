/** Tabs of one site that share a connection, and its sockets. */

import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type { Client, Event } from '../../src/index.js';
import { connectShared } from '../../src/shared.js';
import type { Locks } from '../../src/shared/leader.js';
import { settled, TestSurroundings } from './around.js';
import { sockets, type TestSocket } from './socket.js';

interface Asked {
  readonly signal: AbortSignal | undefined;
  held(): Promise<void> | void;
  resolve(value?: void): void;
  reject(error: Error): void;
}

/** Locks as browsers have them: each is held until what was called is done, or until it is stolen. */
class TestLocks implements Locks {
  readonly #queues = new Map<string, Asked[]>();

  /** Those that are held or waited for. */
  get names(): string[] {
    return [...this.#queues].flatMap(([name, queue]) => (queue.length ? name : []));
  }

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

let sites = 0;

/** A site without a tab. */
export function site(t: TestContext) {
  const locks = new TestLocks();
  const { made, WebSocket } = sockets();
  const name = `site-${++sites}`;
  const clients: Client[] = [];
  t.after(() => clients.forEach((client) => client.close()));
  return {
    name,
    locks,
    made,
    /** The connection that is made as this one, where a broker has said welcome. */
    opened: async (at = 0) => (await until(() => made[at])).welcome(),
    /** A tab, which may have its own view of the locks. */
    tab(view: Locks = locks) {
      const around = new TestSurroundings();
      const transports = ['websocket'] as const;
      const client = connectShared('http://broker.test', { name, locks: view, WebSocket, around, transports });
      clients.push(client);
      return { client, around };
    },
  };
}

/** Waits, turn by turn, until it is so. */
export async function until<T>(found: () => T | undefined | false): Promise<T> {
  for (;;) {
    const it = found();
    if (it) return it;
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(0);
    await once(port2 as unknown as EventTarget, 'message');
    port1.close();
  }
}

/** The next event, in a word. */
export async function next(subscription: AsyncIterator<Event>): Promise<unknown> {
  const { value } = (await subscription.next()) as { value: Event };
  return value.kind === 'message' ? value.data : value.kind;
}

/** The socket's next request, once it is there. */
export const asked = (socket: TestSocket): Promise<any[]> =>
  until(() => socket.sent.length > 0 && JSON.parse(socket.sent.shift()!));

/** The same, which is granted at this cursor. */
export async function granted(socket: TestSocket, cursor = '0.k:5'): Promise<unknown[]> {
  const request = await asked(socket);
  socket.bring(['ok', request[1], { cursor }]);
  return request;
}
