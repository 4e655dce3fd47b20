// A broker that is stopped says goodbye and when to come back, and its clients go on at the next one.

import assert from "node:assert/strict";

import { within } from "../../toolkit/watchdog.js";
import { stories, story } from "../toolkit/story.js";

const DRAIN = '[drain]\ndelay = "0s"\nspread = "200ms"\nreconnect = "2s"\n';

stories(["json", "sse"], "who is told when to come back comes then, and not sooner", async (stage, way) => {
  const next = await stage.broker();
  const { link, app, ended } = await sentAway(stage, way, "a.>", async (broker, app) => {
    await broker.publish("a.b", 1);
    await app.until("a.> | a.b A1 1");
  });
  const { accepted } = link;
  const { at, afterMs } = await goodbye(link);
  link.lead(next.address);
  await next.publish("a.b", 2);
  await link.until("the next connection", () => link.accepted > accepted);
  // A timer may ring a millisecond early.
  assert.ok(performance.now() - at >= afterMs - 2, `it came after ${performance.now() - at} ms of ${afterMs}`);
  await app.until("a.> | live B1");
  await next.publish("a.b", 3);
  await app.until("a.> | a.b B2 3");
  await within("the end of the first broker", ended);
  assert.deepEqual(app.said, [
    "connecting", "connected", "a.> | live A0", "a.> | a.b A1 1",
    "waiting the broker restarts; come back and resume", "connecting", "connected",
    "a.> | gap A1 to B0", "a.> | a.b B1 2", "a.> | live B1", "a.> | a.b B2 3",
  ]);
});

story("what is published while a broker is away waits for the next", async (stage) => {
  const { link, app, ended } = await sentAway(stage, "json", "a");
  link.hold();
  const published = app.client.publish("a", "later");
  await within("the end of the first broker", ended);
  const next = await stage.broker();
  link.lead(next.address);
  assert.equal(app.place((await within("the answer", published)).position), "B1");
  await app.until('a | a B1 "later"');
  await app.untilIt("live again", () => app.of("a").filter((line) => line.startsWith("live ")).length === 2);
  // It is published while the filter is taken up again, and so comes before `live` or after it.
  const [first, gap, ...rest] = app.of("a");
  assert.deepEqual([first, gap], ["live A0", "gap A0 to B0"]);
  assert.deepEqual(rest.sort(), ['a B1 "later"', rest.at(-1)]);
  assert.match(rest.at(-1), /^live B[01]$/);
});

/** An app that is live, before whatever comes first, and whose broker then stops. */
async function sentAway(stage, way, filter, first = async () => {}) {
  const broker = await stage.broker(DRAIN);
  const link = await stage.link(broker);
  const app = stage.app(link.url, way);
  app.follow(filter);
  await app.until(`${filter} | live A0`);
  await first(broker, app);
  link.record();
  const ended = broker.end();
  await app.untilIt("waiting", () => app.status.kind === "waiting");
  return { link, app, ended };
}

/** When the goodbye was passed on, and the wait that it asks for. */
async function goodbye(link) {
  const text = () => Buffer.concat(link.recorded.map(({ bytes }) => bytes)).toString("latin1");
  const found = /"goodbye",1012,.*"reconnect_after_ms":(\d+)/;
  await link.until("the goodbye", () => found.test(text()));
  const { at } = link.recorded.find(({ bytes }) => bytes.includes("goodbye"));
  return { at, afterMs: Number(found.exec(text())[1]) };
}
