// A Chromium whose tabs are those of a person: one in front, the others hidden, held back or frozen.
//
// Playwright keeps every page of a browser that it launches in front. One that runs already it leaves as it is.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { EXECUTABLE, FLAGS } from "./chromium.js";

const LISTENING = /DevTools listening on (ws:\S+)/;

/** A window with tabs. */
export class Tabs {
  #child;
  #browser;
  #folder;

  static async start() {
    const tabs = new Tabs();
    tabs.#folder = await mkdtemp(join(tmpdir(), "fanfare-tabs-"));
    const flags = ["--headless", "--no-first-run", "--remote-debugging-port=0", `--user-data-dir=${tabs.#folder}`];
    tabs.#child = spawn(EXECUTABLE, [...flags, ...FLAGS, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
    tabs.#browser = await chromium.connectOverCDP(await tabs.#address(), { noDefaults: true });
    return tabs;
  }

  #address() {
    return new Promise((resolve, reject) => {
      let said = "";
      this.#child.stderr.setEncoding("utf8").on("data", (text) => {
        said += text;
        const [, address] = LISTENING.exec(said) ?? [];
        if (address !== undefined) resolve(address);
      });
      this.#child.on("error", reject);
      this.#child.on("exit", (code) => reject(new Error(`Chromium ended with ${code}:\n${said}`)));
    });
  }

  /** The tabs' context. */
  get context() {
    return this.#browser.contexts()[0];
  }

  /** Opens another tab in front of this one, which is hidden by that. */
  async hide(page) {
    const other = await this.context.newPage();
    await other.bringToFront();
    await page.waitForFunction(() => document.visibilityState === "hidden", null, { polling: 100 });
  }

  /** Freezes a hidden tab, as a browser does with one that nobody has looked at for long: nothing in it runs. */
  async freeze(page) {
    const session = await this.context.newCDPSession(page);
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    return async () => {
      await session.send("Page.setWebLifecycleState", { state: "active" });
      await session.detach();
      await page.bringToFront();
    };
  }

  async stop() {
    const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
    const exit = isOver || once(this.#child, "exit");
    const session = await this.#browser.newBrowserCDPSession();
    // It answers by going away.
    await session.send("Browser.close").catch(() => {});
    await exit;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
