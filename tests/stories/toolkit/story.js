// A story: one test with its own brokers, links and apps, all of which end with it.

import { test } from "node:test";

import { Broker } from "../../browser/toolkit/broker.js";
import { App } from "./app.js";
import { Link } from "./link.js";

const STORY_MS = 120_000;

/** A test; `tell` is given the stage on which it plays. */
export function story(name, tell) {
  test(name, { timeout: STORY_MS }, async (t) => {
    const stage = new Stage();
    t.after(() => stage.clear());
    try {
      await tell(stage);
    } catch (error) {
      for (const line of stage.told()) t.diagnostic(line);
      throw error;
    }
  });
}

/** The same story over each of these ways. */
export function stories(ways, name, tell) {
  for (const way of ways) story(`${name} (${way})`, (stage) => tell(stage, way));
}

/** What a story uses; everything on it is ended in reverse order. */
class Stage {
  #ends = [];
  #brokers = [];
  #apps = [];

  /** A broker with this configuration. */
  async broker(config) {
    const broker = await this.#keep(Broker.start(config));
    this.#brokers.push(broker);
    return broker;
  }

  /** A link to a broker. */
  link(broker) {
    return this.#keep(Link.start(broker.address));
  }

  /** An app that reaches its broker in this way. */
  app(url, way, options) {
    const app = new App(url, way, options);
    this.#apps.push(app);
    this.#ends.push(() => app.stop());
    return app;
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

  told() {
    return [
      ...this.#apps.slice(-1).map(({ said }) => `the app was told:\n${said.slice(-60).join("\n")}`),
      ...this.#brokers.map(({ log }) => `the broker said:\n${log}`),
    ];
  }

  async clear() {
    for (const end of this.#ends.reverse()) await end();
  }
}
