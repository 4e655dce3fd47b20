// A program of its own that follows, publishes, and closes; it has to end by itself. What it held goes to its parent.

import { App } from "./app.js";

const [url, way, how] = process.argv.slice(2);
const held = () => process.getActiveResourcesInfo().sort();

/** Each brings the client to where it is closed. */
const ROUTES = {
  async "while it connects"() {},
  async "while it follows"(app) {
    await app.until("a | live A0");
    await app.client.publish("b", 1);
    await app.until("> | b A1 1");
  },
  async "after all was unsubscribed"(app, subscriptions) {
    await app.until("a | live A0");
    for (const one of subscriptions) one.unsubscribe();
    // The answer comes after what was asked for before it.
    await app.client.history("a");
  },
  async "while it waits"(app) {
    await app.until("a | live A0");
    process.send({ ask: "cut" });
    await app.untilIt("waiting", () => app.status.kind === "waiting");
  },
};

/** What the parent says next. */
const heard = [];
let news = () => {};
process.on("message", (message) => {
  heard.push(message);
  news();
});
const told = async () => {
  while (!heard.length) await new Promise((resolve) => { news = resolve; });
  return heard.shift();
};

await told();
// Node opens these when they are first looked at.
for (const stream of [process.stdout, process.stderr]) stream.unref?.();
// What was begun to load this program ends first.
while (held().some((name) => name.endsWith("Req"))) await new Promise(setImmediate);
const before = held();
// With the waits that users have: it is closed within one.
const app = new App(url, way, how === "while it waits" ? { around: undefined } : {});
const subscriptions = ["a", ">"].map((filter) => app.follow(filter));
await ROUTES[how](app, subscriptions);
if (how === "after all was unsubscribed") {
  process.send({ ask: "look" });
  await told();
}
app.stop();
process.send({ before, said: app.said });
while ((await told()) === "tell") process.send({ after: held() });
process.disconnect();
