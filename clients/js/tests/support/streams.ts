/** The client over server-sent events, against a scripted HTTP server. */

import type { TestContext } from 'node:test';
import { connect, type Client, type Options } from '../../src/index.js';
import { settled } from './around.js';
import { broker, sent } from './broker.js';

/** A client that has nothing else, and its server. */
export async function story(t: TestContext, options: Options = {}) {
  const scripted = await broker(t);
  const client = connect(scripted.url, { transports: ['sse'], ...options });
  t.after(() => client.close());
  return { client, ...scripted };
}

/** Waits until the client has noticed that its connection is gone. */
export async function cut(client: Client): Promise<void> {
  while (client.status.kind !== 'waiting') await settled();
}

/** The calls of one kind, counted as they are made. */
export function counted(path: string) {
  const counter = {
    calls: 0,
    fetch(url: string, init?: RequestInit) {
      if (url.includes(path)) counter.calls++;
      return globalThis.fetch(url, init);
    },
  };
  return counter;
}

export const message = (seq: number, data: unknown = seq, topic = 'a') =>
  sent(['message', topic, `0.k:${seq}`, data], `0.k:${seq}`);
export const live = (seq: number) => sent(['live', null, `0.k:${seq}`], `0.k:${seq}`);
