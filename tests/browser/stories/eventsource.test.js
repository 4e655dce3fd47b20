// The browser's own EventSource, which comes back by itself.

import assert from "node:assert/strict";

import { within } from "../../toolkit/watchdog.js";
import { CUT } from "../toolkit/chromium.js";
import { story } from "../toolkit/story.js";

/** A page that follows a filter by an EventSource through a proxy that cuts. */
async function follow(stage, filter) {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]\nheartbeat = "500ms"`);
  const link = await stage.link(broker);
  const page = await stage.page({ expected: CUT });
  await page.goto(server.origin);
  await page.evaluate(async (url) => {
    const { plain } = await import("/pages/frames.js");
    const source = new EventSource(url);
    const came = [];
    let told = () => {};
    source.addEventListener("message", ({ data, lastEventId }) => {
      const [frame] = plain([JSON.parse(data)]);
      came.push([...frame, plain([[lastEventId]])[0][0]]);
      told();
    });
    window.until = (count) => new Promise((resolve) => {
      told = () => came.length >= count && resolve([...came]);
      told();
    });
    window.source = source;
  }, `${link.url}/v1/sse?topic=${encodeURIComponent(filter)}`);
  const until = (count) => within(`${count} events`, page.evaluate((count) => window.until(count), count));
  return { page, broker, link, until };
}

story("an EventSource that was cut off comes back and misses nothing, each once", async (stage) => {
  const { page, broker, link, until } = await follow(stage, "orders.>");
  assert.deepEqual(await until(1), [["live", null, "@0", "@0"]]);
  await broker.publish("orders.eu", { id: 1 });
  await broker.publish("prices.gold", 2);
  await broker.post("orders.notes", "text/plain", "two\nlines");
  await until(3);
  link.close();
  await broker.publish("orders.eu", { id: 4 });
  await broker.publish("orders.born.meanwhile", { id: 5 });
  link.open();
  await until(6);
  await broker.publish("orders.eu", { id: 6 });
  assert.deepEqual(await until(7), [
    ["live", null, "@0", "@0"],
    ["message", "orders.eu", "@1", { id: 1 }, "@1"],
    ["message", "orders.notes", "@3", "two\nlines", { type: "text/plain" }, "@3"],
    ["message", "orders.eu", "@4", { id: 4 }, "@4"],
    ["message", "orders.born.meanwhile", "@5", { id: 5 }, "@5"],
    ["live", null, "@5", "@5"],
    ["message", "orders.eu", "@6", { id: 6 }, "@6"],
  ]);
  assert.equal(await page.evaluate(() => window.source.readyState), 1);
});

story("an EventSource is told where the hole is", async (stage) => {
  const { broker, link, until } = await follow(stage, "orders.>");
  await until(1);
  await broker.publish("orders.eu", 1);
  await until(2);
  link.close();
  await broker.publish("orders.eu", 2);
  await fetch(`${broker.url}/v1/topics/orders.eu/messages`, { method: "DELETE" });
  await broker.publish("orders.eu", 3);
  link.open();
  assert.deepEqual((await until(5)).slice(2), [
    // It moves no cursor, and so has none of its own.
    ["gap", "orders.eu", "@1", "@2", "@1"],
    ["message", "orders.eu", "@3", 3, "@3"],
    ["live", null, "@3", "@3"],
  ]);
});
