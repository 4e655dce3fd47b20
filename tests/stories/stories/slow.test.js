// Readers that are too slow: an app that takes nothing from its loop, and a link that takes nothing from the broker.

import assert from "node:assert/strict";

import { stories } from "../toolkit/story.js";

/** Enough to fill what systems hold for a connection, and then the broker's outbox. */
const LARGE_BYTES = 60_000;
const OUTBOX = '[limits]\noutbox_bytes = "256KiB"\nhistory_bytes = "256MiB"\n';

/** Takes so many events from a loop. */
async function taken(app, subscription, count) {
  const events = [];
  while (events.length < count) events.push(app.event((await subscription.next()).value));
  return events;
}

stories(["json", "msgpack", "sse"], "a loop that takes nothing loses nothing and holds up nobody", async (stage, way) => {
  const broker = await stage.broker();
  const app = stage.app(broker.url, way, { queueEventsMax: 4 });
  const slow = app.client.subscribe("a.*");
  app.follow("a.>");
  await app.until("a.> | live A0");
  const held = broker.until("the slow filter is left", () => follows(broker, ["a.>"]));
  for (let data = 1; data <= 20; data++) await broker.publish("a.b", data);
  await app.until("a.> | a.b A20 20");
  await held;
  const messages = Array.from({ length: 20 }, (_, at) => `a.b A${at + 1} ${at + 1}`);
  const came = [];
  while (came.at(-1) !== messages.at(-1)) came.push(...await taken(app, slow, 1));
  assert.deepEqual(came.filter((event) => !event.startsWith("live ")), messages);
  assert.deepEqual(app.of("a.>"), ["live A0", ...messages]);
  assert.deepEqual(app.said.filter((line) => !line.includes("|")), ["connecting", "connected"]);
});

stories(["json", "msgpack", "sse"], "a loop that takes nothing for too long is told what is not kept", async (stage, way) => {
  const broker = await stage.broker('[[topics]]\nfilter = ">"\nhistory.count = 3\n');
  const app = stage.app(broker.url, way, { queueEventsMax: 4 });
  const slow = app.client.subscribe("a.*");
  app.follow("a.>");
  await app.until("a.> | live A0");
  for (let data = 1; data <= 3; data++) await broker.publish("a.b", data);
  await broker.until("the slow filter is left", () => follows(broker, ["a.>"]));
  for (let data = 4; data <= 9; data++) await broker.publish("a.b", data);
  await app.until("a.> | a.b A9 9");
  assert.deepEqual(await taken(app, slow, 4), ["live A0", "a.b A1 1", "a.b A2 2", "a.b A3 3"]);
  assert.deepEqual(await taken(app, slow, 5), ["gap a.b A3 to A6", "a.b A7 7", "a.b A8 8", "a.b A9 9", "live A9"]);
});

stories(["json", "sse"], "a link that takes nothing is cut off, and all that is kept follows", async (stage, way) => {
  const { broker, link, app } = await stalled(stage, way, "disconnect");
  const count = await publishUntil(broker, async () => (await metric(broker, 'fanfare_session_closes_total{code="4500"}')) > 0);
  link.flow();
  await publishEnd(broker, app);
  assert.deepEqual(numbers(app), Array.from({ length: count }, (_, at) => at + 1));
  assert.deepEqual(app.of("a").filter(isGap), []);
  const statuses = app.said.filter((line) => !line.includes("|")).map((line) => line.split(" ")[0]);
  assert.deepEqual(statuses, ["connecting", "connected", "waiting", "connecting", "connected"]);
});

stories(["json", "sse"], "a link that takes nothing is told by one gap what was dropped for it", async (stage, way) => {
  const { broker, link, app } = await stalled(stage, way, "drop");
  const count = await publishUntil(broker, async () => (await metric(broker, "fanfare_dropped_messages_total")) > 5);
  link.flow();
  await publishEnd(broker, app);
  const [gap, ...others] = app.of("a").filter(isGap);
  assert.deepEqual(others, []);
  const [, from, to] = /^gap A(\d+) to A(\d+)/.exec(gap).map(Number);
  const here = Array.from({ length: count }, (_, at) => at + 1).filter((seq) => seq <= from || seq > to);
  assert.ok(here.length < count);
  assert.deepEqual(numbers(app), here);
  // The gap stands where they are missing.
  assert.equal(app.of("a").indexOf(gap), 1 + from);
  assert.deepEqual(app.said.filter((line) => !line.includes("|")), ["connecting", "connected"]);
});

stories(["json", "sse"], "a link that takes nothing gets the newest, and no notice where that is wanted", async (stage, way) => {
  const { broker, link, app } = await stalled(stage, way, "latest");
  const count = await publishUntil(broker, async () => (await metric(broker, "fanfare_replaced_messages_total")) > 5);
  link.flow();
  await publishEnd(broker, app);
  const seqs = numbers(app);
  assert.deepEqual(app.of("a").filter(isGap), []);
  assert.ok(seqs.length < count && seqs.every((seq, at) => at === 0 || seq > seqs[at - 1]), `${seqs}`);
  assert.equal(seqs.at(-1), count);
  assert.deepEqual(app.said.filter((line) => !line.includes("|")), ["connecting", "connected"]);
});

const isGap = (line) => line.startsWith("gap ");

/** The seqs of the large messages that came. */
const numbers = (app) => app.of("a").flatMap((line) => (line.endsWith(`and ${LARGE_BYTES}"`) ? [Number(/A(\d+)/.exec(line)[1])] : []));

/** An app that follows `a` over a link that reads nothing from the broker. */
async function stalled(stage, way, onSlow) {
  const broker = await stage.broker(`${OUTBOX}[[topics]]\nfilter = ">"\nhistory.count = 10000\n`);
  const link = await stage.link(broker);
  const app = stage.app(link.url, way);
  app.follow("a", { onSlow });
  await app.until("a | live A0");
  link.stall();
  return { broker, link, app };
}

/** Publishes large messages until something holds; how many. */
async function publishUntil(broker, holds) {
  let count = 0;
  const large = "x".repeat(LARGE_BYTES);
  while (!(await holds())) {
    if (count > 2_000) throw new Error(`${count} messages were not too many`);
    for (let more = 0; more < 8; more++, count++) await broker.publish("a", large);
  }
  return count;
}

async function publishEnd(broker, app) {
  await broker.publish("a", "end");
  await app.untilIt("the end", () => app.of("a").some((line) => line.endsWith('"end"')));
}

/** A number of the broker's metrics; one that is not told is 0. */
async function metric(broker, name) {
  const text = await (await fetch(`${broker.url}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}

/** True if exactly these filters are followed at the broker. */
async function follows(broker, filters) {
  const { sessions } = await broker.json("/v1/sessions");
  const followed = sessions.flatMap(({ subscriptions }) => subscriptions);
  return followed.length === filters.length && filters.every((filter) => followed.includes(filter));
}
