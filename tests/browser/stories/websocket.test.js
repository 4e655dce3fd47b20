// The browser's own WebSocket speaks both subprotocols.

import assert from "node:assert/strict";

import { story } from "../toolkit/story.js";

/** A broker that lets in the pages of a server, and a page of that server. */
async function listed(stage, options) {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]`);
  const page = await stage.page(options);
  await page.goto(server.origin);
  return { broker, page };
}

/** Opens connections on the page, each of which follows everything. */
function open(page, url, offers) {
  return page.evaluate(async ([url, offers]) => {
    const { Frames, plain } = await import("/pages/frames.js");
    const opened = await Promise.all(offers.map((offer) => Frames.open(url, offer)));
    window.opened = opened;
    window.plain = plain;
    for (const frames of opened) frames.send("subscribe", 1, ">");
    const oks = await Promise.all(opened.map((frames) => frames.next()));
    return opened.map((frames, index) => [frames.protocol, oks[index][0]]);
  }, [url, offers]);
}

/** The next frames of a connection; an answer may come before or after what it causes, so they are sorted. */
async function next(page, index, count) {
  const frames = await page.evaluate(
    async ([index, count]) => window.plain(await window.opened[index].several(count)),
    [index, count],
  );
  return frames.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

story("a page follows and publishes in JSON over its own WebSocket", async (stage) => {
  const { broker, page } = await listed(stage);
  assert.deepEqual(await open(page, broker.ws, [["fanfare.v1.json"]]), [["fanfare.v1.json", "ok"]]);
  await broker.publish("orders.eu", { id: 42 });
  await broker.post("orders.icon", "image/png", new Uint8Array([0, 1, 255]));
  await broker.post("orders.notes", "text/plain", "grüß dich");
  assert.deepEqual(await next(page, 0, 3), [
    ["message", "orders.eu", "@1", { id: 42 }],
    ["message", "orders.icon", "@2", "AAH/", { type: "image/png", encoding: "base64" }],
    ["message", "orders.notes", "@3", "grüß dich", { type: "text/plain" }],
  ]);
  await page.evaluate(() => window.opened[0].send("publish", 2, "orders.us", [1.5, null], { headers: { trace: "t" } }));
  assert.deepEqual(await next(page, 0, 2), [
    ["message", "orders.us", "@4", [1.5, null], { headers: { trace: "t" } }],
    ["ok", 2, { position: "@4", heard: true, receivers: 1 }],
  ]);
});

story("a page follows and publishes in MessagePack over its own WebSocket", async (stage) => {
  const { broker, page } = await listed(stage);
  assert.deepEqual(await open(page, broker.ws, [["fanfare.v1.msgpack"]]), [["fanfare.v1.msgpack", "ok"]]);
  await broker.publish("a", { whole: 7, part: 0.5, list: ["ü", true], none: null });
  await broker.post("b", "image/png", new Uint8Array([0, 1, 255]));
  assert.deepEqual(await next(page, 0, 2), [
    ["message", "a", "@1", { whole: 7, part: 0.5, list: ["ü", true], none: null }],
    ["message", "b", "@2", { bytes: [0, 1, 255] }, { type: "image/png" }],
  ]);
  await page.evaluate(() => window.opened[0].send("publish", 2, "c", { none: undefined, large: Number.MAX_SAFE_INTEGER }));
  const [message, ok] = await next(page, 0, 2);
  assert.deepEqual(message.slice(0, 4), ["message", "c", "@3", { none: null, large: Number.MAX_SAFE_INTEGER }]);
  assert.deepEqual(ok, ["ok", 2, { position: "@3", heard: true, receivers: 1 }]);
});

story("what one page publishes as bytes another reads as base64, each in the protocol it offered first", async (stage) => {
  const { broker, page } = await listed(stage);
  const offers = [["fanfare.v1.msgpack", "fanfare.v1.json"], ["fanfare.v1.json", "fanfare.v1.msgpack"]];
  assert.deepEqual(await open(page, broker.ws, offers), [["fanfare.v1.msgpack", "ok"], ["fanfare.v1.json", "ok"]]);
  await page.evaluate(() => window.opened[0].send("publish", 2, "icons", new Uint8Array([0, 1, 255])));
  assert.deepEqual(await next(page, 1, 1), [["message", "icons", "@1", "AAH/", { encoding: "base64" }]]);
  const [message] = await next(page, 0, 2);
  assert.deepEqual(message, ["message", "icons", "@1", { bytes: [0, 1, 255] }]);
});

story("a page that offers no subprotocol is refused", async (stage) => {
  const { broker, page } = await listed(stage, { expected: /WebSocket connection to .* failed/ });
  await assert.rejects(open(page, broker.ws, [[]]), /refused with 1006/);
  await assert.rejects(open(page, broker.ws, [["fanfare.v9.json"]]), /refused with 1006/);
});
