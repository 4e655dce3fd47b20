// The SDK in a page, loaded as its users load it.

import assert from "node:assert/strict";

import { WAYS, startApp } from "../toolkit/sdk.js";
import { story } from "../toolkit/story.js";

for (const [way, load] of Object.entries(WAYS)) {
  story(`a page that has the SDK ${way} follows, publishes and resumes`, async (stage) => {
    const { app, broker, link } = await startApp(stage, { load });
    await broker.publish("orders.eu", { id: 1 });
    await broker.publish("prices.gold", 2);
    const { heard, position } = await app.publish("orders.us", { id: 3 });
    assert.equal(heard, true);
    assert.match(position, /^0\.[0-9a-z]+:3$/);
    await app.until('orders.us {"id":3}');
    link.close();
    await broker.publish("orders.eu", { id: 4 });
    await broker.publish("orders.born.meanwhile", { id: 5 });
    link.open();
    await app.until('orders.born.meanwhile {"id":5}');
    await app.publish("orders.eu", { id: 6 });
    assert.deepEqual(await app.until('orders.eu {"id":6}'), [
      "live", 'orders.eu {"id":1}', 'orders.us {"id":3}', 'orders.eu {"id":4}', 'orders.born.meanwhile {"id":5}', "live",
      'orders.eu {"id":6}',
    ]);
  });
}

story("a page that has only server-sent events follows, publishes and resumes as well", async (stage) => {
  const { app, broker, link } = await startApp(stage, { transports: "sse" });
  await broker.publish("orders.eu", 1);
  await app.publish("orders.us", 2);
  await app.until("orders.us 2");
  assert.deepEqual((await broker.json("/v1/sessions")).sessions.map(({ protocol }) => protocol), ["sse"]);
  link.close();
  await broker.publish("orders.born.meanwhile", 3);
  link.open();
  await app.until("orders.born.meanwhile 3");
  await broker.publish("orders.eu", 4);
  assert.deepEqual(await app.until("orders.eu 4"), [
    "live", "orders.eu 1", "orders.us 2", "orders.born.meanwhile 3", "live", "orders.eu 4",
  ]);
});
