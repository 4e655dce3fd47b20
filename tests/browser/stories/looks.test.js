// The console on a phone and on a desk, by day and by night: pictures to look at, and what of them can be measured.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openConsole } from "../toolkit/console.js";
import { faults } from "../toolkit/looks.js";
import { story } from "../toolkit/story.js";

const FOLDER = process.env.FANFARE_SCREENSHOTS ?? join(tmpdir(), "fanfare-screenshots");
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
const LONG = `orders.${"longest-region-name-".repeat(4)}.${"x".repeat(120)}`;

/** Each part of the console, and what has to be seen before a picture of it is taken. */
const VIEWS = {
  live: ["#/live/%3E", (page) => page.getByText("9 messages so far.").waitFor()],
  topics: ["#/topics", (page) => page.getByText("8 topics.").waitFor()],
  topic: [`#/topic/${LONG}`, (page) => page.locator("#one-topic-messages li").first().waitFor()],
  "nothing-kept": ["#/topic/prices.gold", (page) => page.getByText("Nothing is kept of it.").waitFor()],
  sessions: ["#/sessions", (page) => page.getByText("3 sessions.").waitFor()],
  // Rates are known from the second look on.
  health: ["#/health", (page) => page.locator("#now dd").getByText(/^\d+ %$/).waitFor()],
  trouble: ["#/live/a..b", (page) => page.getByText("is not followed").waitFor()],
  confirm: ["#/topic/orders.eu", (page) => page.getByRole("button", { name: "Clear its history" }).click()],
};

async function publishAll(broker) {
  await broker.publish("prices.gold", 1);
  await fetch(`${broker.url}/v1/topics/prices.gold/messages`, { method: "DELETE" });
  for (const id of [1, 2, 3]) await broker.publish("orders.eu", { id, status: "paid" });
  await broker.publish("orders.us", { text: "a word that does not end: ".concat("abcdefghij".repeat(30)) });
  await broker.post("notes", "text/plain", "first line\nsecond line, which is a little longer than the first");
  await broker.post("icons.app", "image/png", new Uint8Array(300));
  await broker.publish(LONG, Array.from({ length: 400 }, (_, index) => index));
  await broker.publish("sensors.kitchen.temperature", 21.5);
  await broker.publish("umläute.größe", "ÄÖÜ ß 漢字");
}

/** A second session that follows more than is shown at once. */
async function follower(stage, broker) {
  const page = await stage.page();
  await page.goto(broker.url);
  await page.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url, "fanfare.v1.json");
    const filters = ["orders.>", "prices.*", "a", "b", "c", "d.e.f", "a.filter.that.is.rather.long.but.not.the.longest.of.all.>"];
    socket.onopen = () => filters.forEach((filter, index) => socket.send(JSON.stringify(["subscribe", index + 1, filter])));
    socket.onmessage = ({ data }) => JSON.parse(data)[1] === filters.length && resolve();
  }), broker.ws);
}

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"]) {
    story(`the console is well to look at: ${size}, ${colorScheme}`, async (stage) => {
      const broker = await stage.broker();
      await publishAll(broker);
      await follower(stage, broker);
      const { page, assertProper } = await openConsole(stage, broker, { viewport, colorScheme });
      await mkdir(FOLDER, { recursive: true });
      const found = [];
      for (const [name, [hash, seen]] of Object.entries(VIEWS)) {
        await page.goto(`${broker.url}/${hash}`);
        await seen(page);
        await page.screenshot({ path: join(FOLDER, `${name}-${size}-${colorScheme}.png`), fullPage: true });
        found.push(...(await faults(page)).map((fault) => `${name}: ${fault}`));
      }
      assert.deepEqual(found, []);
      await assertProper();
    });
  }
}

story("what is wrong with a page is found", async (stage) => {
  const page = await stage.page({ viewport: SIZES.phone });
  await page.setContent(`<!doctype html><body style="margin: 0; background: #fff">
    <p style="color: #999">pale</p>
    <p style="opacity: 0.5">faded</p>
    <div style="width: 500px">wide</div>
    <div style="width: 50px; overflow: hidden; white-space: nowrap">cut off at its side</div>
    <button style="padding: 0; border: 0; width: 40px; height: 12px">low</button>
    <button style="width: 30px; height: 30px"></button>
    <input id="field" aria-label="a field" style="height: 30px; border: 1px solid #ddd">`);
  assert.deepEqual(await faults(page), [
    "the page is 500 px wide in 390",
    'sticks out: div "wide"',
    'is cut off: div "cut off at its side"',
    'contrast 2.85 of 4.5: "pale"',
    'contrast 3.98 of 4.5: "faded"',
    "contrast 1.36 of 3: the edge of #field",
    "40 x 12 px is hard to hit: low",
    "a button has no name",
  ]);
});
