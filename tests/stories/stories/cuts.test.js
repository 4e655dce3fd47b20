// The link is cut after exactly so many bytes, at all places that differ and many that do not: every filter sees every
// message once and in order, and no gap is told.

import assert from "node:assert/strict";

import { Link } from "../../toolkit/link.js";
import { within } from "../../toolkit/watchdog.js";
import { App } from "../toolkit/app.js";
import { ends } from "../toolkit/frames.js";
import { stories } from "../toolkit/story.js";

/** Cuts by chance beside those at the ends of frames, for each way and direction. */
const BY_CHANCE = 60;
/** Conversations at the same time. */
const AT_ONCE = 4;
const SEED = 20_251;

const ALL = ["json", "msgpack", "sse"];

stories(ALL, "a link that is cut at any byte from the broker costs nothing and brings nothing twice", (stage, way) =>
  cutEverywhere(stage, way, "down"));
stories(ALL, "a link that is cut at any byte to the broker costs nothing and brings nothing twice", (stage, way) =>
  cutEverywhere(stage, way, "up"));

async function cutEverywhere(stage, way, direction) {
  const broker = await stage.broker();
  const whole = await Link.start(broker.address);
  whole.record();
  await converse(broker, whole, way, "whole");
  const places = placesIn(whole.recorded.filter((piece) => piece.way === direction), whole.passed[direction]);
  let cuts = 0;
  const next = async () => {
    for (let bytes; (bytes = places.pop()) !== undefined; ) {
      const link = await Link.start(broker.address);
      link.cutAfter(direction, bytes);
      try {
        await converse(broker, link, way, `c${String(bytes).padStart(4, "0")}`);
      } catch (error) {
        places.length = 0;
        error.message += `; the link was cut after ${bytes} bytes ${direction}`;
        throw error;
      }
      cuts += link.isCut ? 1 : 0;
    }
  };
  const total = places.length;
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  // What two conversations send differs: streams become one sooner or later. So the last cuts may come too late.
  assert.ok(cuts > total * 0.75, `${cuts} of ${total} links were cut`);
}

/** Before, at and after the end of each frame, and some within by chance; the last comes first. */
function placesIn(pieces, total) {
  const at = ends(pieces).flatMap((end) => [end - 1, end, end + 1]);
  let state = SEED;
  const chance = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const within = Array.from({ length: BY_CHANCE }, () => Math.floor(chance() * total));
  const places = new Set([...at, ...within].filter((place) => place >= 0 && place < total));
  return [...places].sort((a, b) => a - b);
}

/** Three filters that overlap, and messages before, at and after whatever happens to the link. */
async function converse(broker, link, way, root) {
  const bring = async (...messages) => {
    const body = JSON.stringify(messages.map(([topic, data]) => ({ topic: `${root}.${topic}`, data })));
    const answer = await fetch(`${broker.url}/v1/publish`, { method: "POST", body });
    assert.equal(answer.status, 200);
    return (await answer.json()).results;
  };
  const [{ position }] = await bring(["a", "before"], ["b", "before"]);
  const [epoch, seq] = position.split(":");
  const after = `${epoch}:${seq - 1}`;
  const app = new App(link.url, way);
  try {
    await follow(broker, app, root, after, bring);
  } finally {
    app.stop();
    await link.stop();
  }
}

async function follow(broker, app, root, after, bring) {
  const filters = { [`${root}.>`]: { after }, [`${root}.*`]: { last: 9 }, [`${root}.a`]: { after } };
  for (const [filter, options] of Object.entries(filters)) app.follow(filter, options);
  const own = app.client.publish(`${root}.a`, "own");
  await app.until("connected");
  await bring(["a", "at"], ["born", "at"]);
  const published = await within("the publish", own);
  await bring(["b", "after"], ["a", "end"]);
  const hasEnd = (filter) => app.of(filter).some((line) => line.endsWith('"end"'));
  await app.untilIt("the end", () => Object.keys(filters).every(hasEnd));
  await assertWhole(broker, app, filters);
  const kept = await app.client.history(`${root}.a`);
  const mine = kept.frames.filter(({ data }) => data === "own");
  assert.deepEqual(mine.map((frame) => frame.position), [published.position]);
}

/** Each filter was brought exactly what the broker keeps of it, and beside that only `live`, once a connection. */
async function assertWhole(broker, app, filters) {
  const connections = app.said.filter((line) => line === "connected").length;
  assert.ok(connections <= 2, app.said.join("\n"));
  for (const filter of Object.keys(filters)) {
    const { frames } = await broker.json(`/v1/messages?topic=${encodeURIComponent(filter)}`);
    const kept = frames.map(([, topic, position, data]) => app.event({ kind: "message", topic, position, data }));
    const isLive = (line) => line.startsWith("live ");
    assert.deepEqual(app.of(filter).filter((line) => !isLive(line)), kept, filter);
    const lives = app.of(filter).filter(isLive).length;
    assert.ok(lives <= connections, `${filter} was live ${lives} times over ${connections} connections`);
  }
}
