// Commands of a page of documentation, in a shell that has the broker on its PATH.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { delimiter, dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { BINARY } from "../../toolkit/broker.js";

const PATIENCE_MS = 15_000;
const ASK_EVERY_MS = 50;
const execute = promisify(execFile);

const others = Object.entries(process.env).filter(([name]) => !name.startsWith("FANFARE"));
const ENV = { ...Object.fromEntries(others), PATH: `${dirname(BINARY)}${delimiter}${process.env.PATH}` };

/** Runs the commands in a folder, and gives what they print; it throws if one fails. */
export async function run(commands, folder) {
  const { stdout } = await execute("sh", ["-euc", commands], { cwd: folder, env: ENV });
  return stdout;
}

/** Starts commands that go on until `stop`. */
export function start(commands, folder, variables) {
  const options = { cwd: folder, env: { ...ENV, ...variables }, stdio: ["ignore", "ignore", "pipe"], detached: true };
  const child = spawn("sh", ["-euc", commands], options);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => { said += text; });
  return {
    /** Waits until this address is answered. */
    async serves(url) {
      const end = performance.now() + PATIENCE_MS;
      // Until it listens nothing is there to tell.
      while (!(await fetch(url).then(({ ok }) => ok, () => false))) {
        if (performance.now() > end) throw new Error(`${url} is not served; the commands said:\n${said}`);
        await pause(ASK_EVERY_MS);
      }
    },
    async stop() {
      const exit = once(child, "exit");
      // All that it started is of its group.
      process.kill(-child.pid, "SIGKILL");
      await exit;
    },
  };
}

/** An address of this machine at which nobody listens. */
export async function freeAddress() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}
