// Links that go silent without closing.

import assert from "node:assert/strict";

import { surroundings } from "../../../clients/js/dist/client/surroundings.js";
import { stories, story } from "../toolkit/story.js";

const HEARTBEAT_MS = 2_000;
/** How late a timer may be on a machine that is busy. */
const LATE_MS = 3_000;

stories(["json", "msgpack"], "a link that goes silent is noticed within two heartbeats", async (stage, way) => {
  const broker = await stage.broker(`heartbeat = "${HEARTBEAT_MS}ms"\n`);
  const link = await stage.link(broker);
  const app = stage.app(link.url, way);
  app.follow("a");
  await app.until("a | live A0");
  await broker.publish("a", 1);
  await app.until("a | a A1 1");
  const lastMs = performance.now();
  link.silence();
  await broker.publish("a", 2);
  await app.until("waiting nothing heard in time");
  const afterMs = performance.now() - lastMs;
  assert.ok(afterMs > HEARTBEAT_MS && afterMs < 2 * HEARTBEAT_MS + LATE_MS, `noticed after ${afterMs} ms`);
  await app.until("a | live A2");
  await broker.publish("a", 3);
  await app.until("a | a A3 3");
  assert.equal(link.accepted, 2);
  assert.deepEqual(app.said, [
    "connecting", "connected", "a | live A0", "a | a A1 1",
    "waiting nothing heard in time", "connecting", "connected", "a | a A2 2", "a | live A2", "a | a A3 3",
  ]);
});

story("a silent stream of events is noticed after waking up", async (stage) => {
  const broker = await stage.broker();
  const link = await stage.link(broker);
  const { around, sleep } = sleeper();
  const app = stage.app(link.url, "sse", { around, fetch: alone });
  app.follow("a");
  await app.until("a | live A0");
  link.silence();
  await broker.publish("a", 1);
  sleep(50_000);
  await app.until("a | live A1");
  assert.deepEqual(app.said, [
    "connecting", "connected", "a | live A0", "waiting nothing heard in time", "connecting", "connected",
    "a | a A1 1", "a | live A1",
  ]);
});

/** Calls without the connections that Node keeps for later calls, one of which would be silent too. */
const alone = (url, init) => fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });

/** Surroundings of a machine that can be put to sleep: time jumps, and then there is a sign of it. */
function sleeper() {
  const real = surroundings();
  let asleepMs = 0;
  let wake;
  const around = {
    ...real,
    chance: () => 0,
    now: () => real.now() + asleepMs,
    onWake(callback) {
      wake = callback;
      return () => {};
    },
  };
  return { around, sleep: (ms) => { asleepMs += ms; wake(); } };
}
