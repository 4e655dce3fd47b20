// A story: one test with a stage of its own, and with everything on it, all of which ends with it.

import { test } from "node:test";

import { Broker } from "./broker.js";
import { Link } from "./link.js";

const STORY_MS = 120_000;

/** Gives what tells stories: tests, each of which is given a new stage of this class. */
export function storyOn(Stage) {
  return (name, tell) => test(name, { timeout: STORY_MS }, async (t) => {
    const stage = new Stage();
    t.after(() => stage.clear());
    try {
      await tell(stage);
      stage.check();
    } catch (error) {
      for (const line of stage.told()) t.diagnostic(line);
      throw error;
    }
  });
}

/** What a story uses; everything on it is ended in reverse order. */
export class Stage {
  #ends = [];
  #brokers = [];

  /** A broker with this configuration. */
  async broker(config) {
    const broker = await this.keep(Broker.start(config));
    this.#brokers.push(broker);
    return broker;
  }

  /** A link to a broker, which fails when it is told to. */
  link(broker) {
    return this.keep(Link.start(broker.address));
  }

  /** Keeps what is to be called at the end. */
  atEnd(end) {
    this.#ends.push(end);
  }

  /** Keeps what is to be stopped at the end. */
  async keep(starting) {
    const started = await starting;
    this.atEnd(() => started.stop());
    return started;
  }

  /** Checks what has to hold once a story is told. */
  check() {}

  /** What those on it said, for a story that failed. */
  told() {
    return this.#brokers.map(({ log }) => `the broker said:\n${log}`);
  }

  /** Ends everything, even if the end of something fails. */
  async clear() {
    const failed = [];
    for (const end of this.#ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        failed.push(error);
      }
    }
    if (failed.length > 0) throw new AggregateError(failed, `not everything ended: ${failed.join("; ")}`);
  }
}
