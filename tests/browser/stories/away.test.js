// A page that is offline, in the background or frozen has everything when it is back.

import assert from "node:assert/strict";

import { CUT } from "../toolkit/chromium.js";
import { startApp } from "../toolkit/sdk.js";
import { story } from "../toolkit/story.js";

const messages = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => `orders.eu ${from + index}`);

async function publish(broker, from, to) {
  for (let number = from; number <= to; number += 1) await broker.publish("orders.eu", number);
}

story("a page that was offline has everything once it is online again", async (stage) => {
  const { app, page, broker, link } = await startApp(stage);
  await publish(broker, 1, 2);
  await app.until("orders.eu 2");
  await page.context().setOffline(true);
  link.close();
  await app.stands("waiting");
  await publish(broker, 3, 20);
  link.open();
  await page.context().setOffline(false);
  assert.deepEqual(await app.until("orders.eu 20"), ["live", ...messages(1, 20)]);
  await app.stands("connected");
});

story("a page that is online again gives up a link that died without a word before two heartbeats are over", async (stage) => {
  // Two of them last longer than a story waits for a text.
  const { app, page, broker, link } = await startApp(stage, { config: 'heartbeat = "10500ms"' });
  await publish(broker, 1, 2);
  await app.until("orders.eu 2");
  // The socket stays open and nothing comes over it, as after a change of network: only the event tells.
  link.silence();
  await page.context().setOffline(true);
  await publish(broker, 3, 20);
  assert.equal(await page.evaluate(() => window.app.status), "connected");
  await page.context().setOffline(false);
  assert.deepEqual(await app.until("orders.eu 20"), ["live", ...messages(1, 20)]);
});

story("what a page publishes while it is offline is published once it is online again, in order and once", async (stage) => {
  const { app, page, broker, link } = await startApp(stage);
  await page.context().setOffline(true);
  link.close();
  await app.stands("waiting");
  await page.evaluate(() => {
    window.published = [1, 2, 3].map((number) => window.app.client.publish("orders.eu", number));
  });
  assert.deepEqual(await broker.topics(), []);
  link.open();
  await page.context().setOffline(false);
  const answers = await page.evaluate(() => Promise.all(window.published));
  assert.deepEqual(answers.map(({ position }) => position.split(":")[1]), ["1", "2", "3"]);
  const { frames } = await broker.json("/v1/topics/orders.eu/messages");
  assert.deepEqual(frames.map(([, , , data]) => data), [1, 2, 3]);
  await app.until("orders.eu 3");
});

story("a tab in the background, whose timers are held back, has everything and comes back after a cut", async (stage) => {
  const tabs = await stage.tabs();
  const page = await stage.tab(tabs.context, CUT);
  const { app, broker, link } = await startApp(stage, { page, config: 'heartbeat = "500ms"' });
  await tabs.hide(page);
  const before = link.accepted;
  await publish(broker, 1, 200);
  await app.until("orders.eu 200");
  const [{ session }] = (await broker.json("/v1/sessions")).sessions;
  // By now it would have been given up if it had not answered its pings.
  await broker.until("heartbeats", async () => (await broker.json("/v1/sessions")).sessions[0].open_ms > 2_500);
  assert.equal((await broker.json("/v1/sessions")).sessions[0].session, session);
  assert.equal(link.accepted, before);
  link.close();
  await publish(broker, 201, 220);
  link.open();
  assert.deepEqual(await app.until("orders.eu 220"), ["live", ...messages(1, 220)]);
  assert.equal(await page.evaluate(() => document.visibilityState), "hidden");
});

story("a tab that was frozen until the broker gave it up has everything once it is looked at again", async (stage) => {
  const tabs = await stage.tabs();
  const page = await stage.tab(tabs.context, CUT);
  const { app, broker } = await startApp(stage, { page, config: 'heartbeat = "500ms"' });
  await publish(broker, 1, 2);
  await app.until("orders.eu 2");
  await tabs.hide(page);
  const thaw = await tabs.freeze(page);
  await broker.until("the session is given up", async () => (await broker.json("/v1/sessions")).sessions.length === 0);
  await publish(broker, 3, 20);
  await thaw();
  assert.deepEqual(await app.until("orders.eu 20"), ["live", ...messages(1, 20)]);
});

story("a page is sent away by a broker that stops, and told by the next one that what it kept is gone", async (stage) => {
  const { app, broker, link, server } = await startApp(stage, { config: 'drain = { spread = "0s", reconnect = "100ms" }' });
  await publish(broker, 1, 2);
  await app.until("orders.eu 2");
  const next = await stage.broker(`origins = ["${server.origin}"]`);
  link.lead(next.address);
  await broker.end();
  await app.until("gap of anything");
  await publish(next, 3, 4);
  assert.deepEqual(await app.until("orders.eu 4"), ["live", ...messages(1, 2), "gap of anything", "live", ...messages(3, 4)]);
});
