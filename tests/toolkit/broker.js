// A running broker: the real binary on a free port, with a working folder of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The broker's program. */
export const BINARY = process.env.FANFARE_BINARY ?? fileURLToPath(new URL("../../target/debug/fanfare", import.meta.url));
const PATIENCE_MS = 15_000;
const ASK_EVERY_MS = 50;
const LISTENING = /listening; open http:\/\/([^/\s]+)\//;

/** A broker that listens. */
export class Broker {
  #child;
  #folder;
  #log = "";
  /** Where it listens: host and port. */
  address = "";

  /** Starts one with this configuration and waits until it listens. */
  static async start(config = "") {
    if (!existsSync(BINARY)) throw new Error(`no broker at ${BINARY}: build it, or name it in FANFARE_BINARY`);
    const broker = new Broker();
    broker.#folder = await mkdtemp(join(tmpdir(), "fanfare-story-"));
    await writeFile(join(broker.#folder, "fanfare.toml"), config);
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("FANFARE"));
    broker.#child = spawn(BINARY, ["--listen", "127.0.0.1:0", "--workers", "2"], {
      cwd: broker.#folder,
      env: Object.fromEntries(own),
      stdio: ["ignore", "ignore", "pipe"],
    });
    broker.#child.stderr.setEncoding("utf8");
    await broker.#listens();
    return broker;
  }

  #listens() {
    return new Promise((resolve, reject) => {
      this.#child.stderr.on("data", (text) => {
        this.#log += text;
        const [, address] = LISTENING.exec(this.#log) ?? [];
        if (address !== undefined) resolve(this.address = address);
      });
      this.#child.on("error", reject);
      this.#child.on("exit", (code) => reject(new Error(`the broker ended with ${code}:\n${this.#log}`)));
    });
  }

  /** What it has written to its log. */
  get log() {
    return this.#log;
  }

  /** The address of the page at `/`. */
  get url() {
    return `http://${this.address}`;
  }

  /** The address for a WebSocket. */
  get ws() {
    return `ws://${this.address}/v1/ws`;
  }

  /** Publishes JSON; what the publisher is told. */
  async publish(topic, data) {
    return this.post(topic, "application/json", JSON.stringify(data));
  }

  /** Publishes a body of this media type; what the publisher is told. */
  async post(topic, type, body) {
    const headers = { "content-type": type };
    const answer = await fetch(`${this.url}/v1/topics/${topic}`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`publishing to ${topic}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The JSON that a `GET` is answered with. */
  async json(path) {
    const answer = await fetch(`${this.url}${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The names of all topics to which anything was published. */
  async topics() {
    const { topics } = await this.json("/v1/topics");
    return topics.map(({ topic }) => topic);
  }

  /** Asks until it holds, for what no event tells of. */
  async until(what, holds) {
    const end = performance.now() + PATIENCE_MS;
    while (!(await holds())) {
      if (performance.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
      await pause(ASK_EVERY_MS);
    }
  }

  /** Asks it to stop, and waits until it has. */
  async end() {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }

  /** Ends it at once. */
  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
