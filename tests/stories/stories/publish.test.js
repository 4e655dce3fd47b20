// A publish whose answer is lost happens once, and its publisher is told where.

import assert from "node:assert/strict";

import { within } from "../../toolkit/watchdog.js";
import { stories } from "../toolkit/story.js";

const ALL = ["json", "msgpack", "sse"];

/** An app that publishes; the message arrives, and its answer does not. */
async function lost(stage, way, options) {
  const broker = await stage.broker();
  const link = await stage.link(broker);
  const app = stage.app(link.url, way);
  app.follow("a");
  await app.until("a | live A0");
  link.stall();
  const answer = app.client.publish("a", "once", options);
  const settled = answer.then((published) => ({ published }), (error) => ({ error }));
  const kept = async () => (await broker.json("/v1/topics/a/messages")).frames;
  await broker.until("the message", async () => (await kept()).length === 1);
  link.cut();
  const outcome = await within("the answer", settled);
  const positions = (await kept()).map(([, , position]) => position);
  return { app, outcome, positions };
}

stories(ALL, "a publish whose answer is cut off happens once", async (stage, way) => {
  const { app, outcome, positions } = await lost(stage, way);
  assert.deepEqual(positions, [outcome.published.position]);
  assert.equal(outcome.published.repeated, true);
  await app.until("a | live A1");
  assert.deepEqual(app.of("a"), ["live A0", 'a A1 "once"', "live A1"]);
});

stories(ALL, "a publish without a key whose answer is cut off is unclear, and is not sent again", async (stage, way) => {
  const { app, outcome, positions } = await lost(stage, way, { idempotencyKey: false });
  assert.equal(outcome.error?.code, "unclear");
  assert.equal(positions.length, 1);
  await app.until("a | live A1");
  assert.deepEqual(app.of("a"), ["live A0", 'a A1 "once"', "live A1"]);
});
