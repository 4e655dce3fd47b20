// A broker that forgot, a node that changes, and what is not kept any more: each is told, and nothing else is.

import assert from "node:assert/strict";

import { stories } from "../toolkit/story.js";

const ALL = ["json", "msgpack", "sse"];
/** What a WebSocket says that ended without a word, and a stream of events. */
const isCut = (line) => line.startsWith("waiting ");
const withoutReason = (said) => said.map((line) => (isCut(line) ? "waiting" : line));

/** An app that followed three messages over a link. */
async function begun(stage, way, config) {
  const broker = await stage.broker(config);
  const link = await stage.link(broker);
  const app = stage.app(link.url, way);
  app.follow("a.>");
  await app.until("connected");
  await app.untilIt("live", () => app.of("a.>").length === 1);
  for (const data of [1, 2, 3]) await broker.publish("a.b", data);
  await app.until("a.> | a.b A3 3");
  return { broker, link, app };
}

const BEGINNING = ["connecting", "connected", "a.> | live A0", "a.> | a.b A1 1", "a.> | a.b A2 2", "a.> | a.b A3 3"];

stories(ALL, "a broker that restarts tells that its history is lost, and goes on", async (stage, way) => {
  const { broker, link, app } = await begun(stage, way);
  link.hold();
  await broker.stop();
  const next = await stage.broker();
  await next.publish("a.b", 4);
  await next.publish("x", "not ours");
  await next.publish("a.new", 5);
  link.lead(next.address);
  await app.until("a.> | live B3");
  await next.publish("a.b", 6);
  await app.until("a.> | a.b B4 6");
  assert.deepEqual(withoutReason(app.said), [
    ...BEGINNING, "waiting", "connecting", "connected",
    "a.> | gap A3 to B0", "a.> | a.b B1 4", "a.> | a.new B3 5", "a.> | live B3", "a.> | a.b B4 6",
  ]);
});

stories(ALL, "a broker that restarts and gets nothing new tells it as well", async (stage, way) => {
  const { broker, link, app } = await begun(stage, way);
  link.hold();
  await broker.stop();
  const next = await stage.broker();
  link.lead(next.address);
  await app.until("a.> | live B0");
  await next.publish("a.b", 4);
  await app.until("a.> | a.b B1 4");
  assert.deepEqual(withoutReason(app.said), [
    ...BEGINNING, "waiting", "connecting", "connected", "a.> | gap A3 to B0", "a.> | live B0", "a.> | a.b B1 4",
  ]);
});

stories(ALL, "a cut in which nothing is missed is no gap", async (stage, way) => {
  const { broker, link, app } = await begun(stage, way);
  link.cut();
  await app.until("a.> | live A3");
  await broker.publish("a.b", 4);
  await app.until("a.> | a.b A4 4");
  assert.deepEqual(withoutReason(app.said), [
    ...BEGINNING, "waiting", "connecting", "connected", "a.> | live A3", "a.> | a.b A4 4",
  ]);
});

stories(ALL, "what is not kept any more is a gap of its topic, before the rest of it", async (stage, way) => {
  const keepTwo = '[[topics]]\nfilter = ">"\nhistory.count = 2\n';
  const { broker, link, app } = await begun(stage, way, keepTwo);
  link.hold();
  link.cut();
  for (const data of [4, 5, 6, 7]) await broker.publish("a.b", data);
  await broker.publish("a.new", 8);
  link.lead(broker.address);
  await app.until("a.> | live A8");
  const { frames } = await app.client.history("a.b");
  assert.deepEqual(frames.map((frame) => app.event(frame)), ["a.b A6 6", "a.b A7 7"]);
  assert.deepEqual(withoutReason(app.said), [
    ...BEGINNING, "waiting", "connecting", "connected",
    "a.> | gap a.b A3 to A5", "a.> | a.b A6 6", "a.> | a.b A7 7", "a.> | a.new A8 8", "a.> | live A8",
  ]);
});

stories(ALL, "another node in the place of the first is told, and so is the way back", async (stage, way) => {
  const { broker, link, app } = await begun(stage, way);
  const other = await stage.broker();
  await other.publish("a.c", "elsewhere");
  link.lead(other.address);
  link.cut();
  await app.until("a.> | live B1");
  await other.publish("a.c", "still there");
  await app.until('a.> | a.c B2 "still there"');
  await broker.publish("a.b", 4);
  link.lead(broker.address);
  link.cut();
  await app.until("a.> | live A4");
  assert.deepEqual(withoutReason(app.said), [
    ...BEGINNING, "waiting", "connecting", "connected",
    "a.> | gap A3 to B0", 'a.> | a.c B1 "elsewhere"', "a.> | live B1", 'a.> | a.c B2 "still there"',
    "waiting", "connecting", "connected",
    // Of the first node's life the second knew nothing: it is all replayed that the first keeps.
    "a.> | gap B2 to A0", "a.> | a.b A1 1", "a.> | a.b A2 2", "a.> | a.b A3 3", "a.> | a.b A4 4", "a.> | live A4",
  ]);
});
