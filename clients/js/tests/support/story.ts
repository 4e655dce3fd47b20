/** A client over a scripted WebSocket. */

import assert from 'node:assert/strict';
import { connect, type Event, type FanfareError, type Options, type Status } from '../../src/index.js';
import { settled, TestSurroundings } from './around.js';
import { sockets } from './socket.js';

/** A client that is connecting, and all that a test needs to tell its story. */
export async function begun(options: Options = {}) {
  const around = new TestSurroundings();
  const { made, WebSocket } = sockets();
  const statuses: Status[] = [];
  const client = connect('http://broker.test:8900/', {
    WebSocket,
    around,
    transports: ['websocket'],
    onStatus: (status) => statuses.push(status),
    ...options,
  });
  await settled();
  const socket = () => made.at(-1)!;
  return { client, around, made, socket, statuses };
}

export const message = (seq: number, data: unknown = seq, topic = 'a') => ['message', topic, `0.k:${seq}`, data];

/** The next events, each in a word or two. */
export async function taken(subscription: AsyncIterator<Event>, count: number): Promise<unknown[]> {
  const events = [];
  for (let at = 0; at < count; at++) {
    const { value } = (await subscription.next()) as { value: Event };
    events.push(value.kind === 'message' ? value.data : value.kind);
  }
  return events;
}

export const rejected = (promise: Promise<unknown>): Promise<FanfareError> =>
  promise.then(
    () => assert.fail('it did not fail'),
    (error: FanfareError) => error,
  );
