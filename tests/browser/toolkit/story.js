// A story in a browser: its stage has pages, tabs and a server of pages too.

import assert from "node:assert/strict";
import { after } from "node:test";

import { Stage, storyOn } from "../../toolkit/stage.js";
import { context, quit } from "./chromium.js";
import { Server } from "./server.js";
import { Tabs } from "./tabs.js";

const STEP_MS = 20_000;

after(quit);

class PageStage extends Stage {
  #trouble = [];

  /** A server of pages on another origin. */
  server() {
    return this.keep(Server.start());
  }

  /** A page in a context of its own; what goes wrong on it fails the story, unless it is `expected`. */
  async page({ expected = /^$/, ...options } = {}) {
    const made = await context(options);
    this.atEnd(() => made.close());
    made.setDefaultTimeout(STEP_MS);
    return this.tab(made, expected);
  }

  /** A window whose tabs can be hidden. */
  tabs() {
    return this.keep(Tabs.start());
  }

  /** One more page in a context. */
  async tab(context, expected = /^$/) {
    const page = await context.newPage();
    const note = (text) => { if (!expected.test(text)) this.#trouble.push(text); };
    page.on("pageerror", (error) => note(`error: ${error.message}`));
    page.on("console", (message) => { if (message.type() === "error") note(`console: ${message.text()}`); });
    return page;
  }

  /** Checks that no page had an error that nobody expected. */
  check() {
    assert.deepEqual(this.#trouble, []);
  }

  told() {
    return [...this.#trouble, ...super.told()];
  }
}

/** A test; `tell` is given the stage on which it plays. */
export const story = storyOn(PageStage);
