// Tokens that end. A broker that asks for them is scripted here; the SDK's own tests tell how tokens are fetched.

import assert from "node:assert/strict";
import { once } from "node:events";

import { WebSocketServer } from "ws";

import { story } from "../toolkit/story.js";

const WELCOME = ["welcome", null, { session: "1", resume: "r1", heartbeat_ms: 25_000, limits: {} }];

story("a session that ends with its token comes back with another and goes on", async (stage) => {
  const { app, server } = await begun(stage);
  const first = await connection(server);
  assert.deepEqual(await first.next(2), [["connect", 1, { token: "t1" }], ["subscribe", 2, "a"]]);
  first.bring(WELCOME, ["welcome", 1, WELCOME[2]], ["ok", 2, { cursor: "0.k:5" }], ["message", "a", "0.k:6", "x"]);
  await app.until('a | a A6 "x"');
  // A code of the range of which every code brings a client back.
  first.bring(["goodbye", 4510, "the token has expired"]);
  first.socket.close(4510);
  const second = await connection(server);
  assert.deepEqual(await second.next(2), [
    ["connect", 3, { token: "t2", resume: "r1" }], ["subscribe", 4, "a", { after: "0.k:6" }],
  ]);
  second.bring(WELCOME, ["welcome", 3, WELCOME[2]], ["ok", 4, { cursor: "0.k:6", resumed: true }]);
  second.bring(["replay", "a", ["message", "a", "0.k:7", "y"]], ["live", "a", "0.k:7"]);
  await app.until("a | live A7");
  assert.deepEqual(app.said, [
    "connecting", "connected", "a | live A5", 'a | a A6 "x"', "waiting the token has expired",
    "connecting", "connected", 'a | a A7 "y"', "a | live A7",
  ]);
});

story("a token that is refused is replaced once, and then it is over", async (stage) => {
  const { app, server } = await begun(stage);
  for (const [id, token] of [[1, "t1"], [3, "t2"]]) {
    const peer = await connection(server);
    const [asked] = await peer.next(2);
    assert.deepEqual(asked, ["connect", id, { token }]);
    peer.bring(["error", id, "unauthorized", "the token has expired"]);
  }
  await app.until("closed 1008 the token has expired (unauthorized)");
  assert.deepEqual(app.said, [
    "connecting", "connected", "waiting the token has expired (unauthorized)", "connecting", "connected",
    "a | end closed", "closed 1008 the token has expired (unauthorized)",
  ]);
});

/** A scripted broker, and an app on its way to it that has another token each time and follows a filter. */
async function begun(stage) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  stage.atEnd(() => server.close());
  await once(server, "listening");
  let count = 0;
  const app = stage.app(`http://127.0.0.1:${server.address().port}`, "json", { token: () => `t${++count}` });
  app.follow("a");
  return { app, server };
}

/** The next connection, of which a story says what comes over it. */
async function connection(server) {
  const [socket] = await once(server, "connection");
  const frames = [];
  let news = () => {};
  socket.on("message", (data) => {
    frames.push(JSON.parse(data));
    news();
  });
  return {
    socket,
    bring: (...all) => all.forEach((frame) => socket.send(JSON.stringify(frame))),
    async next(count) {
      while (frames.length < count) await new Promise((resolve) => { news = resolve; });
      return frames.splice(0, count);
    },
  };
}
