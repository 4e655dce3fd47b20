// The console used by keyboard and by mouse.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { CUT } from "../toolkit/chromium.js";
import { openConsole } from "../toolkit/console.js";
import { story } from "../toolkit/story.js";

/** What has the focus: its id, else its name. */
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());

const field = (page, name) => page.getByRole("textbox", { name });

/** The topics and data of the messages shown, newest first. */
const shown = (page, list = "#messages") => page.locator(`${list} li`).evaluateAll(
  (rows) => rows.map((row) => [".topic", ".data"].map((part) => row.querySelector(part)?.textContent ?? row.textContent)),
);

story("the console follows a filter, from the keyboard alone", async (stage) => {
  const broker = await stage.broker();
  const { page, assertProper } = await openConsole(stage, broker);
  await page.getByText("connected", { exact: true }).waitFor();
  const order = [];
  while (order.at(-1) !== "filter") {
    await page.keyboard.press("Tab");
    order.push(await focused(page));
    assert.ok(order.length < 20, order.join());
  }
  assert.deepEqual(order, [
    "Live", "Topics", "Sessions", "Health", "Publish", "topic", "data", "Publish", "copy", "curl", "filter",
  ]);
  await page.keyboard.press("Control+A");
  await page.keyboard.type("orders.*");
  await page.keyboard.press("Enter");
  await page.getByText("Following orders.*.").waitFor();
  assert.equal(new URL(page.url()).hash, "#/live/orders.*");
  assert.equal(await focused(page), "filter");
  await broker.publish("orders.eu", { id: 1 });
  await broker.publish("prices.gold", 2);
  await broker.post("orders.us", "text/plain", "<b>text</b>");
  await page.getByText("2 messages so far.").waitFor();
  assert.deepEqual(await shown(page), [["orders.us", "<b>text</b>"], ["orders.eu", '{"id":1}']]);
  await assertProper();
});

story("the console holds back, goes on, clears and stops", async (stage) => {
  const broker = await stage.broker();
  const { page, assertProper } = await openConsole(stage, broker, { hash: "#/live/%3E" });
  await page.getByText("Following >.").waitFor();
  await broker.publish("a", 1);
  await page.getByText("1 message so far.").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await broker.publish("a", 2);
  await page.getByText("Paused. 2 messages so far.").waitFor();
  assert.deepEqual(await shown(page), [["a", "1"]]);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("2 messages so far.").waitFor();
  await page.locator("#messages li").nth(1).waitFor();
  assert.deepEqual(await shown(page), [["a", "2"], ["a", "1"]]);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("No message yet.").waitFor();
  assert.deepEqual(await shown(page), []);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("> is not followed any more.").waitFor();
  const { heard } = await broker.publish("a", 3);
  assert.equal(heard, false);
  await assertProper();
});

story("the console publishes by keyboard and by mouse, and the line it shows does the same from a shell", async (stage) => {
  const broker = await stage.broker();
  const { page, assertProper } = await openConsole(stage, broker, { hash: "#/live/%3E" });
  await page.getByText("Following >.").waitFor();
  await field(page, "Topic").fill("it's a topic".replaceAll(" ", "."));
  await field(page, "Data").fill('{"it\'s": ["$HOME", "`id`", 1e2]}');
  await field(page, "Data").press("Control+Enter");
  await page.getByText(/^Published at 0\.\w+:1, heard by 1 session\.$/).waitFor();
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("2 messages so far.").waitFor();
  const line = await page.locator("#curl").textContent();
  const { stdout } = await promisify(execFile)("sh", ["-c", `curl() { command curl -sS --max-time 10 "$@"; }; ${line}`]);
  assert.equal(JSON.parse(stdout).heard, true);
  await page.getByText("3 messages so far.").waitFor();
  const [first, ...others] = await shown(page);
  assert.deepEqual(first, ["it's.a.topic", '{"it\'s":["$HOME","`id`",100]}']);
  assert.deepEqual(others, [first, first]);
  await assertProper();
});

story("the console says why it does not publish or follow", async (stage) => {
  const broker = await stage.broker();
  const { page, assertProper } = await openConsole(stage, broker, { expected: /status of 400/ });
  await field(page, "Topic").fill("a..b");
  await field(page, "Topic").press("Enter");
  await page.locator("#answer").getByText(/"a\.\.b" .*\(bad_topic\)$/).waitFor();
  await field(page, "Filter").fill("a.>.b");
  await page.getByRole("button", { name: "Follow" }).click();
  await page.locator("#following").getByText(/^a\.>\.b is not followed: .*\(bad_filter\)$/).waitFor();
  assert.equal(await page.locator("#seen").isVisible(), false);
  await assertProper();
});

story("the console lists topics, shows one, and clears its history only when it is told so twice", async (stage) => {
  const broker = await stage.broker();
  await broker.publish("orders.eu", { id: 1 });
  await broker.publish("orders.eu", { id: 2 });
  await broker.publish("prices.gold", 3);
  const { page, assertProper } = await openConsole(stage, broker);
  await page.getByRole("link", { name: "Topics", exact: true }).click();
  await page.getByText("2 topics.").waitFor();
  await field(page, "Filter").fill("orders.>");
  await page.keyboard.press("Enter");
  await page.getByText("1 topic.").waitFor();
  await page.getByRole("link", { name: "orders.eu", exact: true }).click();
  await page.getByRole("heading", { name: "orders.eu" }).waitFor();
  await page.locator("#one-topic-messages li").nth(1).waitFor();
  assert.equal(await focused(page), "one-topic-name");

  const clear = page.getByRole("button", { name: "Clear its history" });
  await clear.click();
  assert.equal(await focused(page), "confirm-no");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await focused(page), "one-topic-clear");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal((await broker.json("/v1/topics/orders.eu/messages")).frames.length, 2);

  await clear.click();
  await page.getByRole("button", { name: "Clear", exact: true }).last().click();
  await page.getByText("2 messages cleared.").waitFor();
  await page.getByText("Nothing is kept of it. Its positions go on.").waitFor();
  assert.deepEqual((await broker.json("/v1/topics/orders.eu/messages")).frames, []);

  await page.getByRole("link", { name: "Follow live" }).click();
  await page.getByText("Following orders.eu.").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "Publish to it" }).click();
  assert.equal(await field(page, "Topic").inputValue(), "orders.eu");
  assert.equal(await focused(page), "data");
  await assertProper();
});

story("the console lists sessions and disconnects one, which is told to stay away", async (stage) => {
  const broker = await stage.broker();
  const { page, assertProper } = await openConsole(stage, broker, { hash: "#/live/prices.*" });
  await page.getByText("Following prices.*.").waitFor();
  const { page: other } = await openConsole(stage, broker, { hash: "#/live/orders.%3E" });
  await other.getByText("Following orders.>.").waitFor();

  await page.getByRole("link", { name: "Sessions" }).click();
  await page.getByText("2 sessions.").waitFor();
  const own = page.getByRole("row").filter({ has: page.locator(".badge:not([hidden])") });
  assert.equal(await own.getByRole("link").textContent(), "prices.*");
  const its = page.getByRole("row").filter({ hasText: "orders.>" });
  await its.getByRole("button", { name: "Disconnect" }).press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "confirm-yes");
  await page.keyboard.press("Enter");
  await page.getByText(/^Session \d+ is disconnected\.$/).waitFor();
  await page.getByText("1 session.", { exact: true }).waitFor();
  await other.locator("#state[data-state=closed]").getByText("an operator").waitFor();
  assert.equal(await focused(page), "Sessions");
  await assertProper();
});

story("the console knows whether the broker is ready, says when it is gone, and tries again when it is told to", async (stage) => {
  const broker = await stage.broker();
  const link = await stage.link(broker);
  const { page } = await openConsole(stage, link, { expected: CUT });
  await page.getByRole("link", { name: "Health" }).click();
  await page.getByText("Ready. The broker delivers, on its own, in memory.").waitFor();
  link.close();
  await page.getByText("The broker can't be reached.").waitFor();
  await page.getByText("Not known.").waitFor();
  await page.getByText(/; trying again in \d/).waitFor();
  const before = link.refused;
  await page.getByRole("button", { name: "Connect now" }).click();
  await broker.until("it has tried again", () => link.refused > before);
  link.open();
  await page.getByText("connected", { exact: true }).waitFor();
});

story("the console that is cut off comes back by itself and shows what it missed, each once", async (stage) => {
  const broker = await stage.broker();
  const link = await stage.link(broker);
  const { page, assertProper } = await openConsole(stage, link, { hash: "#/live/%3E", expected: CUT });
  await page.getByText("Following >.").waitFor();
  await broker.publish("a", 1);
  await page.getByText("1 message so far.").waitFor();
  link.close();
  await page.getByRole("button", { name: "Connect now" }).waitFor();
  await broker.publish("a", 2);
  await broker.publish("born.meanwhile", 3);
  link.open();
  await page.getByText("Following >; nothing was missed.").waitFor();
  await page.getByText("3 messages so far.").waitFor();
  await page.locator("#messages li").nth(2).waitFor();
  assert.deepEqual(await shown(page), [["born.meanwhile", "3"], ["a", "2"], ["a", "1"]]);

  link.close();
  await page.getByRole("button", { name: "Connect now" }).waitFor();
  await broker.publish("a", 4);
  await fetch(`${broker.url}/v1/topics/a/messages`, { method: "DELETE" });
  link.open();
  await page.getByText(/^(1 message|Messages) of a after 0\.\w+:\d up to 0\.\w+:4 (is|are) missing\.$/).waitFor();
  await assertProper();
});
