// What the README has for a browser, pasted into the broker's own page as it asks for.

import assert from "node:assert/strict";

import { within } from "../../toolkit/watchdog.js";
import { CUT } from "../toolkit/chromium.js";
import { openConsole } from "../toolkit/console.js";
import { Snippets } from "../toolkit/snippets.js";
import { story } from "../toolkit/story.js";

const snippets = new Snippets(new URL("../../../README.md", import.meta.url), ["js"]);

story("the README's follower comes back after a cut and misses nothing", async (stage) => {
  const broker = await stage.broker();
  const link = await stage.link(broker);
  const { page } = await openConsole(stage, link, { expected: CUT });
  const came = [];
  let more = () => {};
  await page.exposeFunction("shown", (topic, data) => {
    came.push(`${topic} ${JSON.stringify(data)}`);
    more();
  });
  const until = (count) => within(`${count} messages`, new Promise((resolve) => {
    more = () => came.length >= count && resolve();
    more();
  }));
  const [key] = snippets.keys();
  await page.evaluate(snippets.take(key, { broker: link.address }).replaceAll("console.log(", "shown("));
  await broker.until("it follows", async () => (await broker.publish("orders.eu", 0)).heard);
  await until(1);
  await broker.publish("orders.eu.42", 1);
  await broker.publish("news", 2);
  await until(2);
  link.close();
  for (const number of [3, 4, 5]) await broker.publish(`orders.born${number}`, number);
  link.open();
  await until(5);
  await broker.publish("orders.eu", 6);
  await until(6);
  assert.deepEqual(came, ["orders.eu 0", "news 2", "orders.born3 3", "orders.born4 4", "orders.born5 5", "orders.eu 6"]);
});

snippets.allAreRun();
