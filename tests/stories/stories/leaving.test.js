// What is closed leaves nothing behind: not at the broker, and nothing that keeps its process alive.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import { within } from "../../toolkit/watchdog.js";
import { stories } from "../toolkit/story.js";

const ALL = ["json", "msgpack", "sse"];
const LEAVER = fileURLToPath(new URL("../toolkit/leaver.js", import.meta.url));

for (const how of ["while it connects", "while it follows", "after all was unsubscribed", "while it waits"]) {
  stories(ALL, `a client that is closed ${how} leaves nothing behind`, async (stage, way) => {
    const broker = await stage.broker();
    const link = await stage.link(broker);
    const child = fork(LEAVER, [link.url, way, how]);
    child.send("begin");
    stage.atEnd(() => child.kill("SIGKILL"));
    const exit = once(child, "exit");
    const told = {};
    const closed = new Promise((resolve) => {
      child.on("message", async (message) => {
        Object.assign(told, message);
        if (message.ask === "cut") link.close();
        else if (message.ask) {
          if (message.ask === "look") await follows(broker, []);
          child.send("go on");
        }
        if (message.said) resolve();
      });
    });
    await within("closing", Promise.race([closed, exit]));
    await broker.until("no session", async () => (await broker.json("/v1/sessions")).sessions.length === 0);
    assert.equal(told.said.at(-1), "closed 1000 closed by this side");
    // A connection takes a moment to end.
    await broker.until("nothing held", async () => {
      child.send("tell");
      await within("what is held", once(child, "message"));
      return isDeepStrictEqual(told.after, told.before);
    });
    child.send("end");
    assert.deepEqual(await within("the end of the process", exit), [0, null]);
  });
}

/** Waits until exactly these filters are followed at the broker. */
function follows(broker, filters) {
  return broker.until("the filters", async () => {
    const { sessions } = await broker.json("/v1/sessions");
    const followed = sessions.flatMap(({ subscriptions }) => subscriptions);
    return followed.sort().join() === filters.join();
  });
}
