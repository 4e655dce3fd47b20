// A story: one test with its own broker and pages, all of which end with it.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Broker } from "./broker.js";
import { context, quit } from "./chromium.js";
import { Cutter } from "./cutter.js";
import { Server } from "./server.js";
import { Tabs } from "./tabs.js";

const STORY_MS = 90_000;
const STEP_MS = 20_000;

after(quit);

/** A test; `tell` is given the stage on which it plays. */
export function story(name, tell) {
  test(name, { timeout: STORY_MS }, async (t) => {
    const stage = new Stage();
    t.after(() => stage.clear());
    try {
      await tell(stage);
      stage.assertQuiet();
    } catch (error) {
      for (const line of stage.told()) t.diagnostic(line);
      throw error;
    }
  });
}

/** What a story uses; everything on it is ended in reverse order. */
class Stage {
  #ends = [];
  #brokers = [];
  #trouble = [];

  /** A broker with this configuration. */
  async broker(config) {
    const broker = await this.#keep(Broker.start(config));
    this.#brokers.push(broker);
    return broker;
  }

  /** A server of pages on another origin. */
  server() {
    return this.#keep(Server.start());
  }

  /** A proxy that cuts, in front of the broker. */
  cutter(broker) {
    return this.#keep(Cutter.start(broker.address));
  }

  /** A page in a context of its own; what goes wrong on it fails the story, unless it is `expected`. */
  async page({ expected = /^$/, ...options } = {}) {
    const made = await context(options);
    this.#ends.push(() => made.close());
    made.setDefaultTimeout(STEP_MS);
    return this.tab(made, expected);
  }

  /** A window whose tabs can be hidden. */
  tabs() {
    return this.#keep(Tabs.start());
  }

  /** One more page in a context. */
  async tab(context, expected = /^$/) {
    const page = await context.newPage();
    const note = (text) => { if (!expected.test(text)) this.#trouble.push(text); };
    page.on("pageerror", (error) => note(`error: ${error.message}`));
    page.on("console", (message) => { if (message.type() === "error") note(`console: ${message.text()}`); });
    return page;
  }

  /** Keeps what is to be called at the end. */
  atEnd(end) {
    this.#ends.push(end);
  }

  async #keep(starting) {
    const started = await starting;
    this.#ends.push(() => started.stop());
    return started;
  }

  /** Checks that no page had an error that nobody expected. */
  assertQuiet() {
    assert.deepEqual(this.#trouble, []);
  }

  told() {
    return [...this.#trouble, ...this.#brokers.map(({ log }) => `the broker said:\n${log}`)];
  }

  async clear() {
    for (const end of this.#ends.reverse()) await end();
  }
}

/** The promise's value, or an error that says what did not come in time. */
export async function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${STEP_MS} ms`)), STEP_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
