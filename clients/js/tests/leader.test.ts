/** The leading tab, and what other tabs take from it, over a channel on which a test speaks too. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Said } from '../src/shared/leader.js';
import { settled } from './support/around.js';
import { asked, granted, next, site, until } from './support/site.js';
import { message } from './support/story.js';

/** A site with a leading tab, and the channel of its tabs. */
async function led(t: TestContext) {
  const all = site(t);
  const channel = new BroadcastChannel(`fanfare:${all.name}`);
  t.after(() => channel.close());
  const heard: Said[] = [];
  channel.onmessage = ({ data }: MessageEvent<Said>) => heard.push(data);
  const leading = all.tab();
  const socket = await all.opened();
  return { ...all, leading, socket, heard, say: (said: Said) => channel.postMessage(said) };
}

for (const [how, leave] of [
  ['says so', ({ say }) => say({ kind: 'bye', tab: 'ghost' })],
  ['lets go of its lock', ({ release }) => release()],
  ['begins anew', ({ say }) => say({ kind: 'hello', tab: 'ghost' })],
] as [string, (ghost: { say(said: Said): void; release(): void }) => void][]) {
  test(`what a tab followed is left when it ${how}`, async (t) => {
    const { name, locks, socket, heard, say } = await led(t);
    let release: (() => void) | undefined;
    void locks.request(`fanfare:${name}:ghost`, {}, () => new Promise((resolve) => (release = resolve)));
    const held = await until(() => release);
    say({ kind: 'hello', tab: 'ghost' });
    say({ kind: 'asked', tab: 'ghost', frame: ['subscribe', 7, 'a'] });
    assert.deepEqual(await granted(socket), ['subscribe', 1, 'a']);
    await until(() => heard.some((said) => said.kind === 'told' && said.frame[0] === 'ok'));
    leave({ say, release: held });
    assert.deepEqual(await asked(socket), ['unsubscribe', 2, 'a']);
    held();
  });
}

test('a tab that is closed says so', async (t) => {
  const { heard, tab } = await led(t);
  const { client } = tab();
  await until(() => client.status.kind === 'connected');
  client.close();
  await until(() => heard.some(({ kind }) => kind === 'bye'));
});

test('a leading tab that hears of another leads no more', async (t) => {
  const { socket, say } = await led(t);
  say({ kind: 'leads', leader: 'another' });
  assert.deepEqual(await until(() => socket.closedWith), [1000]);
});

test('a tab listens to the leader that welcomed it alone', async (t) => {
  const { leading, socket, heard, say } = await led(t);
  const subscription = leading.client.subscribe('a');
  await granted(socket);
  assert.equal(await next(subscription), 'live');
  const { tab } = heard.find((said) => said.kind === 'hello') as { tab: string };
  say({ kind: 'told', leader: 'another', tab, frame: ['replay', 'a', message(9)] });
  say({ kind: 'closed', leader: 'another', code: 4003, reason: 'not yours' });
  for (let turns = 0; turns < 10; turns++) await settled();
  socket.bring(message(6));
  assert.equal(await next(subscription), 6);
});

test('tabs are told where their quiet filters stand', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { tab, socket } = await led(t);
  const subscription = tab().client.subscribe('a');
  await granted(socket);
  assert.equal(await next(subscription), 'live');
  socket.bring(['ping', '0.k:9']);
  assert.equal(subscription.cursor, '0.k:5');
  t.mock.timers.tick(25_000);
  await until(() => subscription.cursor === '0.k:9');
});
