// An HTTP server for pages of another origin than the broker's.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const BLANK = "<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,><p>A page.";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
};

/** A server of pages: a blank one at `/`, this package's folders, and what a story adds. */
export class Server {
  #server = createServer((request, response) => this.#answer(request, response));
  #texts = new Map([["/", BLANK]]);
  #policies = new Map();
  #folders = new Map([
    ["/pages/", join(HERE, "pages")],
    ["/modules/", join(HERE, "node_modules")],
  ]);

  static async start() {
    const server = new Server();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port() {
    return this.#server.address().port;
  }

  /** The origin of its pages. */
  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Serves a text at a path, under a policy if there is one; the path's end tells the type. */
  text(path, text, policy) {
    this.#texts.set(path, text);
    if (policy !== undefined) this.#policies.set(path, policy);
  }

  /** Serves the files of a folder beneath a path that ends in `/`. */
  folder(path, folder) {
    this.#folders.set(path, folder);
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    const type = TYPES[extname(pathname)] ?? TYPES[".html"];
    try {
      const body = this.#texts.get(pathname) ?? await this.#file(pathname);
      const policy = this.#policies.get(pathname);
      const headers = { "content-type": type, "cache-control": "no-store" };
      response.writeHead(200, policy ? { ...headers, "content-security-policy": policy } : headers).end(body);
    } catch (error) {
      response.writeHead(404, { "content-type": "text/plain" }).end(`${pathname}: ${error.message}`);
    }
  }

  #file(path) {
    for (const [prefix, folder] of this.#folders) {
      if (path.startsWith(prefix)) return readFile(join(folder, normalize(`/${path.slice(prefix.length)}`)));
    }
    throw new Error("nothing is served here");
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
