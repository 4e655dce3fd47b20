// Which pages get in: the broker's own and those of listed origins; of another nothing has any effect.

import assert from "node:assert/strict";

import { REBOUND } from "../toolkit/chromium.js";
import { story } from "../toolkit/story.js";

/** What browsers say on the console of what they were refused. */
const REFUSED = /CORS policy|WebSocket connection to .* failed|Failed to load resource|ERR_FAILED|MIME type/;

/** Tries every way in; what came of each. */
async function tryAll(page, broker) {
  return page.evaluate(async ({ url, ws }) => {
    const websocket = new Promise((resolve) => {
      const socket = new WebSocket(ws, "fanfare.v1.json");
      socket.onopen = () => resolve("open");
      socket.onclose = ({ code }) => resolve(code);
    });
    const read = (path, options) => fetch(`${url}${path}`, options).then(({ status }) => status, ({ name }) => name);
    const post = (type, mode) => {
      const path = `/v1/topics/${mode}.${type.replace("/", ".")}`;
      return read(path, { method: "POST", headers: { "content-type": type }, body: "{}", mode });
    };
    return {
      websocket: await websocket,
      text: await post("text/plain", "cors"),
      json: await post("application/json", "cors"),
      unread: await post("text/plain", "no-cors"),
      batch: await read("/v1/publish", { method: "POST", body: '[{"topic": "batch", "data": 1}]' }),
      history: await read("/v1/topics/a/messages"),
    };
  }, { url: broker.url, ws: broker.ws });
}

story("a page of another origin is refused in every way, and publishes nothing", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker();
  const page = await stage.page({ expected: REFUSED });
  await page.goto(server.origin);
  assert.deepEqual(await tryAll(page, broker), {
    websocket: 1006,
    text: "TypeError",
    json: "TypeError",
    // That it arrived, and no more, is all that a page can know of such an answer.
    unread: 0,
    batch: "TypeError",
    history: "TypeError",
  });
  assert.deepEqual(await broker.topics(), []);
});

/** What becomes of an EventSource of the page. */
const eventSource = (page, broker) => page.evaluate((url) => new Promise((resolve) => {
  const source = new EventSource(`${url}/v1/sse?topic=%3E`);
  source.onopen = () => resolve("open");
  source.onerror = () => resolve(source.readyState === EventSource.CLOSED ? "closed" : "comes back");
}), broker.url);

story("an EventSource of another origin is refused for good", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker();
  const page = await stage.page({ expected: REFUSED });
  await page.goto(server.origin);
  assert.equal(await eventSource(page, broker), "closed");
  assert.deepEqual((await broker.json("/v1/sessions")).sessions, []);
});

story("a form of another origin that posts to the broker publishes nothing", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker();
  server.text("/form.html", `<form method=post enctype=text/plain action="${broker.url}/v1/topics/forged">
    <input name='{"a"' value='1}'><button>Win</button></form>`);
  const page = await stage.page({ expected: REFUSED });
  await page.goto(`${server.origin}/form.html`);
  const answered = page.waitForResponse((response) => response.url().startsWith(broker.url));
  await page.getByRole("button").click();
  assert.equal((await answered).status(), 403);
  assert.deepEqual(await broker.topics(), []);
});

story("a frame in a sandbox, which hides its origin, is refused although its page is listed", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]`);
  server.text("/outer.html", "<iframe sandbox=allow-scripts src=/></iframe>");
  const page = await stage.page({ expected: REFUSED });
  await page.goto(`${server.origin}/outer.html`);
  const came = await tryAll(page.frames()[1], broker);
  assert.deepEqual([came.websocket, came.text, came.json], [1006, "TypeError", "TypeError"]);
  assert.deepEqual(await broker.topics(), []);
});

story("a page whose own name was made to lead to the broker is refused", async (stage) => {
  const broker = await stage.broker();
  const page = await stage.page({ expected: REFUSED });
  const [, port] = broker.address.split(":");
  const answer = await page.goto(`http://${REBOUND}:${port}/`);
  assert.equal(answer.status(), 403);
  assert.match(await answer.text(), /does not go by the name \\"rebound\.example\\"/);
  const status = await page.evaluate(() => fetch("/v1/topics/a", { method: "POST", body: "{}" }).then(({ status }) => status));
  assert.equal(status, 403);
  assert.deepEqual(await broker.topics(), []);
});

story("a page of a listed origin follows, publishes and reads the answers", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]`);
  const page = await stage.page();
  await page.goto(server.origin);
  assert.deepEqual(await tryAll(page, broker), {
    websocket: "open", text: 200, json: 200, unread: 0, batch: 200, history: 200,
  });
  assert.equal(await eventSource(page, broker), "open");
  const published = ["batch", "cors.application.json", "cors.text.plain", "no-cors.text.plain"];
  assert.deepEqual((await broker.topics()).sort(), published);
});
