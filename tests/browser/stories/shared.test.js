// Tabs that share one connection.

import assert from "node:assert/strict";

import { CUT } from "../toolkit/chromium.js";
import { shared, startApp } from "../toolkit/sdk.js";
import { story } from "../toolkit/story.js";

const messages = (to) => Array.from({ length: to }, (_, index) => `orders.eu ${index + 1}`);

async function publish(broker, from, to) {
  for (let number = from; number <= to; number += 1) await broker.publish("orders.eu", number);
}

/** Three tabs of one person; the first leads. */
async function threeTabs(stage) {
  const { app, open, page, broker, link } = await startApp(stage, { load: shared });
  const others = [];
  for (const place of [2, 3]) {
    const tab = await stage.tab(page.context(), CUT);
    others.push(await open(tab));
    assert.equal((await broker.json("/v1/sessions")).sessions.length, 1, `with ${place} tabs`);
  }
  return { first: app, others, broker, link };
}

story("tabs that share a connection are one session, and each has everything", async (stage) => {
  const { first, others, broker, link } = await threeTabs(stage);
  await publish(broker, 1, 3);
  const { heard } = await others[1].publish("orders.eu", 4);
  assert.equal(heard, true);
  for (const app of [first, ...others]) assert.deepEqual(await app.messages("orders.eu 4"), messages(4));
  link.close();
  await publish(broker, 5, 6);
  link.open();
  for (const app of [first, ...others]) assert.deepEqual(await app.messages("orders.eu 6"), messages(6));
});

story("when the tab that keeps the connection is closed another takes over, and nobody misses anything", async (stage) => {
  const { first, others, broker } = await threeTabs(stage);
  await publish(broker, 1, 2);
  for (const app of others) await app.until("orders.eu 2");
  await first.page.close();
  await publish(broker, 3, 20);
  for (const app of others) assert.deepEqual(await app.messages("orders.eu 20"), messages(20));
  await others[0].publish("orders.eu", 21);
  for (const app of others) assert.deepEqual(await app.messages("orders.eu 21"), messages(21));
  assert.equal((await broker.json("/v1/sessions")).sessions.length, 1);
});

/** Two tabs of which one can be frozen, the leading one, and the other is in front. */
async function leaderToFreeze(stage, prepare = async () => {}) {
  const tabs = await stage.tabs();
  const page = await stage.tab(tabs.context, CUT);
  await prepare(page);
  const { app: first, open, broker } = await startApp(stage, { load: shared, page });
  const other = await open(await stage.tab(tabs.context, CUT));
  await other.page.bringToFront();
  await publish(broker, 1, 2);
  for (const app of [first, other]) await app.until("orders.eu 2");
  return { first, other, broker, thaw: await tabs.freeze(page) };
}

story("when the tab that keeps the connection is frozen another takes over, and once it is back it has everything", async (stage) => {
  const { first, other, broker, thaw } = await leaderToFreeze(stage);
  await publish(broker, 3, 20);
  assert.deepEqual(await other.messages("orders.eu 20"), messages(20));
  await thaw();
  assert.deepEqual(await first.messages("orders.eu 20"), messages(20));
  await first.publish("orders.eu", 21);
  for (const app of [first, other]) assert.deepEqual(await app.messages("orders.eu 21"), messages(21));
  assert.equal((await broker.json("/v1/sessions")).sessions.length, 1);
});

story("a tab that keeps the connection and stands still without notice is not waited for", async (stage) => {
  const { first, other, broker, thaw } = await leaderToFreeze(stage, (page) => page.addInitScript(() => {
    document.addEventListener("freeze", (event) => event.stopImmediatePropagation());
  }));
  await publish(broker, 3, 20);
  assert.deepEqual(await other.messages("orders.eu 20"), messages(20));
  await thaw();
  assert.deepEqual(await first.messages("orders.eu 20"), messages(20));
  await other.publish("orders.eu", 21);
  for (const app of [first, other]) assert.deepEqual(await app.messages("orders.eu 21"), messages(21));
  await broker.until("one session", async () => (await broker.json("/v1/sessions")).sessions.length === 1);
});
