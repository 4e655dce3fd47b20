// The SDK as it is loaded by those who use it, and an app on it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { build } from "esbuild";

import { within } from "../../toolkit/watchdog.js";
import { CUT } from "./chromium.js";

/** The SDK's folder. */
export const SDK = fileURLToPath(new URL("../../../clients/js", import.meta.url));
const APP = new URL("../pages/app.js", import.meta.url);
const run = promisify(execFile);

const MSGPACK = 'import { msgpack } from "fanfare-client/msgpack";\nglobalThis.appOptions = { codec: msgpack };\n';

/** Ways to load it, each of which gives the app's text to a server. */
export const WAYS = {
  "as one file": async (server) => fromFolder(server, (await app()).replace('"fanfare-client"', '"/sdk/fanfare.min.js"')),
  "as its modules": async (server) => fromFolder(server, await app()),
  "as its modules, with MessagePack": async (server) => fromFolder(server, MSGPACK + await app()),
  "packed, installed and bundled": async (server, stage) => server.text("/app.js", await bundled(stage, MSGPACK + await app())),
};

/** The app over one connection for all tabs. */
export async function shared(server) {
  const text = await app();
  return fromFolder(server, text.replace('{ connect } from "fanfare-client"', '{ connectShared as connect } from "fanfare-client/shared"'));
}

/** An app on a page of a listed origin, before a broker that it reaches through a proxy that cuts. */
export async function startApp(stage, { load = WAYS["as one file"], config = "", transports, page: given } = {}) {
  const server = await stage.server();
  const broker = await stage.broker(`origins = ["${server.origin}"]\n${config}`);
  const link = await stage.link(broker);
  await load(server, stage);
  const html = "<!doctype html><title>An app</title><link rel=icon href=data:,><script type=module src=/app.js></script>";
  // The strictest under which an app can work; what it forbids is an error on the page.
  const policy = `default-src 'none'; script-src 'self'; img-src data:; connect-src ${link.url} ws://${link.address}`;
  server.text("/app.html", html, policy);
  const asked = new URLSearchParams({ broker: link.url, ...(transports && { transports }) });
  const open = async (page) => {
    await page.goto(`${server.origin}/app.html?${asked}`);
    const app = new App(page);
    await app.until("live");
    return app;
  };
  const page = given ?? await stage.page({ expected: CUT });
  return { app: await open(page), open, page, broker, link, server };
}

/** The app on a page, from outside. */
export class App {
  constructor(page) {
    this.page = page;
  }

  /** All that came up to a text. */
  async until(text) {
    const came = this.page.waitForFunction(() => window.app).then(() => this.page.evaluate((text) => window.app.until(text), text));
    try {
      return await within(JSON.stringify(text), came);
    } catch (error) {
      error.message += `; what came: ${await this.page.evaluate(() => JSON.stringify([window.app.status, ...window.app.came]))}`;
      throw error;
    }
  }

  /** The messages among those. */
  async messages(text) {
    return (await this.until(text)).filter((came) => came !== "live");
  }

  /** Publishes from the page. */
  publish(topic, data) {
    return this.page.evaluate(([topic, data]) => window.app.client.publish(topic, data), [topic, data]);
  }

  /** Waits until the client stands there: `open`, say. */
  async stands(status) {
    await this.page.waitForFunction((status) => window.app.status === status, status);
  }
}

const app = () => readFile(APP, "utf8");

/** An app that names the SDK's modules by their paths, as without a bundler it has to. */
async function fromFolder(server, text) {
  const dist = join(SDK, "dist");
  assert.ok(existsSync(dist), "the SDK is not built: run `npm ci && npm run build` in clients/js");
  server.folder("/sdk/", dist);
  server.text("/app.js", text.replace('"fanfare-client"', '"/sdk/index.js"').replace(/"fanfare-client\/(\w+)"/, '"/sdk/$1.js"'));
}

/** A new package in a folder of its own, and in it the file that `npm pack` would publish of the SDK. */
export async function packed(stage) {
  const folder = await mkdtemp(join(tmpdir(), "fanfare-bundle-"));
  stage.atEnd(() => rm(folder, { recursive: true, force: true }));
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: SDK });
  const [file] = await readdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  return { folder, file };
}

/** The app as a bundler makes it of that. */
async function bundled(stage, text) {
  const { folder, file } = await packed(stage);
  await run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", `./${file}`], { cwd: folder });
  await writeFile(join(folder, "app.js"), text);
  const { outputFiles, warnings } = await build({
    absWorkingDir: folder, entryPoints: ["app.js"], bundle: true, format: "esm", platform: "browser", write: false,
  });
  assert.deepEqual(warnings, []);
  return outputFiles[0].text;
}
