// The README's follower, pasted into the page as it asks for.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { openConsole } from "../toolkit/console.js";
import { CUT } from "../toolkit/cutter.js";
import { story, within } from "../toolkit/story.js";

const README = new URL("../../../README.md", import.meta.url);

/** The program that the README has for a browser, with another address and what it shows kept. */
async function follower(address) {
  const blocks = (await readFile(README, "utf8")).split("\n```");
  const program = blocks.find((block) => block.startsWith("js\n") && block.includes("new WebSocket(")).slice(3);
  return program.replaceAll("127.0.0.1:8900", address).replaceAll("console.log(", "shown(");
}

story("the README's follower comes back after a cut and misses nothing", async (stage) => {
  const broker = await stage.broker();
  const cutter = await stage.cutter(broker);
  const { page } = await openConsole(stage, cutter, { expected: CUT });
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
  await page.evaluate(await follower(cutter.address));
  while (!(await broker.publish("orders.eu", 0)).heard);
  await until(1);
  await broker.publish("orders.eu", 1);
  await broker.publish("prices.gold", 2);
  await until(2);
  cutter.close();
  for (const number of [3, 4, 5]) await broker.publish(`orders.born.${number}`, number);
  cutter.open();
  await until(5);
  await broker.publish("orders.eu", 6);
  await until(6);
  assert.deepEqual(came, [
    "orders.eu 0", "orders.eu 1", "orders.born.3 3", "orders.born.4 4", "orders.born.5 5", "orders.eu 6",
  ]);
});
