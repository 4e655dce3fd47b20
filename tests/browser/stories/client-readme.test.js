// The first piece of the client's README, run as it stands there; that all of them are strict TypeScript, its own tests say.

import assert from "node:assert/strict";
import { join } from "node:path";

import { within } from "../../toolkit/watchdog.js";
import { SDK } from "../toolkit/sdk.js";
import { Snippets } from "../toolkit/snippets.js";
import { story } from "../toolkit/story.js";

const snippets = new Snippets(new URL("../../../clients/js/README.md", import.meta.url), ["js"]);

story("the first piece of the client's README follows what is kept, then what comes", async (stage) => {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]`);
  await broker.publish("orders.eu", 1);
  server.folder("/dist/", join(SDK, "dist"));
  const [key] = snippets.keys();
  const program = snippets.take(key, { broker: broker.address }).replace("'fanfare-client'", "'./dist/index.js'");
  server.text("/first.html", `<!doctype html><link rel=icon href=data:,><script type=module>${program}</script>`);
  const page = await stage.page();
  const said = [];
  let more = () => {};
  page.on("console", (message) => {
    said.push(message.text());
    more();
  });
  const until = (count) => within(`${count} lines`, new Promise((resolve) => {
    more = () => said.length >= count && resolve();
    more();
  }));
  await page.goto(`${server.origin}/first.html`);
  await until(2);
  await broker.publish("orders.us.7", 2);
  await until(3);
  assert.deepEqual(said, ["orders.eu 1", "caught up", "orders.us.7 2"]);
});
