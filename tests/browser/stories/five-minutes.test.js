// What `clients/js/BROWSER.md` teaches, run as it stands there.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { packed, SDK } from "../toolkit/sdk.js";
import * as shell from "../toolkit/shell.js";
import { shows, Snippets } from "../toolkit/snippets.js";
import { story } from "../toolkit/story.js";

const TESTS = fileURLToPath(new URL("..", import.meta.url));
const snippets = new Snippets(new URL("../../../clients/js/BROWSER.md", import.meta.url));

/** A broker that lists the origin of the pages that a story serves. */
async function set(stage) {
  const server = await stage.server();
  server.folder("/dist/", join(SDK, "dist"));
  server.text("/fanfare.min.js", await readFile(join(SDK, "dist/fanfare.min.js"), "utf8"));
  // What each page asks for unasked.
  server.text("/favicon.ico", "");
  const pages = server.origin.replace("http://", "");
  const broker = await stage.broker(snippets.take("toml fanfare.toml", { pages }));
  const take = (key) => snippets.take(key, { broker: broker.address, pages });
  const open = async (name, page) => {
    const opened = page ?? await stage.page();
    await opened.goto(`${server.origin}/${name}`);
    return opened;
  };
  return { server, broker, take, open };
}

/** The page with the client, in which this stands in place of what it follows. */
const withClient = (take, script) => take("html client.html").replace(/ {2}client\.subscribe.*?(?=<\/script>)/s, script);

/** Opens that page with a block in it. */
async function openBlock({ server, take, open }, name, page) {
  server.text(`/${name}.html`, withClient(take, take(`js ${name}`)));
  return open(`${name}.html`, page);
}

const followed = (broker, count) => broker.until(`${count} filters followed`, async () => {
  const { sessions } = await broker.json("/v1/sessions");
  return sessions.reduce((sum, { subscriptions }) => sum + subscriptions.length, 0) === count;
});

story("it starts as it says, and the first page shows what curl publishes", async (stage) => {
  const folder = await mkdtemp(join(tmpdir(), "fanfare-minutes-"));
  stage.atEnd(() => rm(folder, { recursive: true, force: true }));
  const [broker, pages] = [await shell.freeAddress(), await shell.freeAddress()];
  for (const key of ["toml fanfare.toml", "html events.html"])
    await writeFile(join(folder, key.split(" ")[1]), snippets.take(key, { broker, pages }));
  const start = snippets.take("sh start").replace("8000", pages.split(":")[1]);
  const started = shell.start(start, folder, { FANFARE__LISTEN: broker });
  stage.atEnd(() => started.stop());
  await started.serves(`http://${broker}/healthz`);
  await started.serves(`http://${pages}/events.html`);
  const { detail } = JSON.parse(await shell.run(snippets.take("sh refused", { broker }), folder));
  assert.equal(`${detail}\n`, snippets.take("text refused"));
  const page = await stage.page({ expected: /404/ });
  await page.goto(`http://${pages}/events.html`);
  await shows(page, "live\n");
  await shell.run(snippets.take("sh publish", { broker }), folder);
  await shows(page, snippets.take("text events.html"));
});

story("a page publishes with fetch", async (stage) => {
  const { server, take, open } = await set(stage);
  server.text("/fetch.html", withClient(take, take("js fetch")).replace(/^.*(import|const client).*$/gm, ""));
  await shows(await open("fetch.html"), take("text fetch"));
});

story("the page with the client shows what is kept, then what comes", async (stage) => {
  const { server, broker, take, open } = await set(stage);
  await broker.publish("orders.eu", { id: 42 });
  server.text("/client.html", take("html client.html"));
  const page = await open("client.html");
  await shows(page, take("text client.html"));
  assert.equal(await page.title(), "connected");
  await broker.publish("orders.us", { id: 43 });
  await shows(page, `${take("text client.html")}orders.us {"id":43}\n`);
});

story("the client is installed and bundled with an app", async (stage) => {
  const { server, broker, take, open } = await set(stage);
  const { folder, file } = await packed(stage);
  const [install, bundle] = take("sh npm").trim().split("\n");
  await writeFile(join(folder, "app.js"), take("js app.js"));
  await shell.run(install.replace("fanfare-client", `--offline --no-audit --no-fund ./${file}`), folder);
  await symlink(join(TESTS, "node_modules/.bin"), join(folder, "node_modules/.bin"));
  await shell.run(bundle, folder);
  server.text("/bundle.js", await readFile(join(folder, "bundle.js"), "utf8"));
  server.text("/app.html", "<!doctype html><body><script type=module src=bundle.js></script>");
  const page = await open("app.html");
  await followed(broker, 1);
  await broker.publish("news", "It works.");
  await page.getByText("It works.").waitFor();
});

story("a page publishes with the client", async (stage) => {
  const all = await set(stage);
  await shows(await openBlock(all, "publish"), all.take("text publish"));
});

story("a page that is told a gap reads the state afresh and goes on", async (stage) => {
  const all = await set(stage);
  all.server.text("/stock.json", '{"apples": 3}');
  const page = await openBlock(all, "gap");
  await shows(page, 'read afresh: {"apples": 3}\n');
  await all.broker.publish("stock.apples", 4);
  await shows(page, all.take("text gap"));
});

story("a page that is loaded again goes on where it stood", async (stage) => {
  const all = await set(stage);
  const page = await openBlock(all, "reload");
  await page.waitForFunction(() => sessionStorage.cursor);
  await all.broker.publish("orders.eu", 1);
  await shows(page, "orders.eu 1\n");
  await page.goto("about:blank");
  await all.broker.publish("orders.eu", 2);
  await all.open("reload.html", page);
  await shows(page, "orders.eu 2\n");
  await all.broker.publish("orders.us", 3);
  await shows(page, "orders.eu 2\norders.us 3\n");
});

story("filters that overlap each get a message that travels once", async (stage) => {
  const all = await set(stage);
  const page = await stage.page();
  const travelled = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    const [op, topic] = JSON.parse(payload);
    if (op === "message") travelled.push(topic);
  }));
  await openBlock(all, "overlap", page);
  await followed(all.broker, 2);
  await all.broker.publish("orders.eu", 1);
  await all.broker.publish("orders.us", 2);
  await shows(page, all.take("text overlap"));
  assert.deepEqual(travelled, ["orders.eu", "orders.us"]);
});

story("of prices the page shows the newest", async (stage) => {
  const all = await set(stage);
  for (const price of [1, 2, 3]) await all.broker.publish("prices.gold", price);
  await shows(await openBlock(all, "slow"), all.take("text slow"));
});

story("tabs share one connection", async (stage) => {
  const { server, broker, take, open } = await set(stage);
  const head = take("html client.html").split("\n").filter((line) => !line.includes("import") && !line.includes("const client"));
  const script = 'import { connectShared } from "./dist/shared.js";\n' + take("js shared");
  server.text("/shared.html", withClient(() => head.join("\n"), script));
  const first = await open("shared.html");
  const second = await open("shared.html", await stage.tab(first.context()));
  await followed(broker, 1);
  // Whoever follows what the leading tab follows already is told by nobody else than the pages.
  await broker.until("both tabs hear", async () => {
    await broker.publish("news", "hi");
    const heard = await Promise.all([first, second].map((page) => page.evaluate(() => document.querySelector("pre").textContent)));
    return heard.every((text) => text.includes("hi"));
  });
  assert.equal((await broker.json("/v1/sessions")).sessions.length, 1);
});

story("the page with the client works under the strict policy", async (stage) => {
  const { server, broker, take, open } = await set(stage);
  await broker.publish("orders.eu", { id: 42 });
  const [, script] = /<script type="module">(.*)<\/script>/s.exec(take("html client.html"));
  server.text("/client.js", script);
  server.text("/strict.html", "<!doctype html><pre></pre><script type=module src=client.js></script>", take("text csp").trim());
  // The policy forbids the icon too.
  await shows(await open("strict.html", await stage.page({ expected: /favicon/ })), take("text client.html"));
});

story("the follower without a client comes back after a cut and misses nothing", async (stage) => {
  const { server, broker, open } = await set(stage);
  const link = await stage.link(broker);
  const follower = snippets.take("js websocket", { broker: link.address });
  const shown = follower.replace("console.log(topic, data)", "document.querySelector('pre').append(`${topic} ${data}\\n`)");
  server.text("/websocket.html", `<!doctype html><pre></pre><script>${shown}</script>`);
  const page = await open("websocket.html", await stage.page({ expected: /ERR_|WebSocket connection to .* failed/ }));
  await followed(broker, 1);
  await broker.publish("orders.eu", 1);
  await broker.publish("prices.gold", 2);
  await shows(page, "orders.eu 1\n");
  link.close();
  for (const number of [3, 4, 5]) await broker.publish(`orders.born.${number}`, number);
  link.open();
  await shows(page, "orders.eu 1\norders.born.3 3\norders.born.4 4\norders.born.5 5\n");
  await broker.publish("orders.eu", 6);
  await shows(page, "orders.eu 1\norders.born.3 3\norders.born.4 4\norders.born.5 5\norders.eu 6\n");
});

snippets.allAreRun();
