// Proxies that hold bytes back until there are many, or for a while.

import assert from "node:assert/strict";

import { WAYS } from "../toolkit/app.js";
import { story } from "../toolkit/story.js";

story("a proxy that holds bytes back costs nothing, and is no dead link", (stage) =>
  Promise.all(Object.keys(WAYS).map((way) => assertWhole(stage, way))));

async function assertWhole(stage, way) {
  // Held back for 1 s, a ping may come 4 s after the one before it: within two heartbeats.
  const broker = await stage.broker('heartbeat = "3s"\n');
  const link = await stage.link(broker);
  link.buffer("down", 4_096, 1_000);
  const app = stage.app(link.url, way);
  app.follow("a");
  app.follow(">");
  await app.until("> | live A0");
  const large = "x".repeat(3_000);
  const data = [1, large, 2, large, 3, 4];
  for (const one of data) await broker.publish("a", one);
  await app.until("> | a A6 4");
  link.record();
  // A heartbeat that comes late, and another one.
  const beats = way === "sse" ? 1 : 2;
  await link.until("heartbeats", () => link.recorded.filter(({ way }) => way === "down").length >= beats);
  await broker.publish("b", "last");
  await app.until('> | b A7 "last"');
  const said = data.map((one, at) => `a A${at + 1} ${one === large ? '"xxxxxxxxx and 3000"' : one}`);
  assert.deepEqual(app.of("a"), ["live A0", ...said]);
  assert.deepEqual(app.of(">"), ["live A0", ...said, 'b A7 "last"']);
  assert.deepEqual(app.said.slice(0, 2), ["connecting", "connected"]);
  assert.equal(app.said.length, 2 + 7 + 8);
}
