/** An HTTP server of which a test says what it answers. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** One request that came, to be answered. */
export interface Call {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  body(): Promise<any>;
  json(status: number, body: unknown): void;
  /** Answers with a stream, or writes more of it. */
  write(text: string): void;
}

/** The server's address, and the requests but for `/healthz`, in the order in which they come. */
export async function broker(t: TestContext) {
  const calls: Call[] = [];
  let news = () => {};
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://broker.test');
    if (url.pathname === '/healthz') return void response.end('ok');
    calls.push({
      path: url.pathname,
      query: url.searchParams,
      request,
      response,
      async body() {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        return JSON.parse(Buffer.concat(chunks as Buffer[]).toString());
      },
      json: (status, body) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      write(text) {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(text);
      },
    });
    news();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async next(): Promise<Call> {
      while (!calls.length) await new Promise<void>((resolve) => (news = resolve));
      return calls.shift()!;
    },
    waiting: () => calls.length,
  };
}

/** One server-sent event. */
export const sent = (frame: unknown, id?: string): string =>
  `${id ? `id: ${id}\n` : ''}data: ${JSON.stringify(frame)}\n\n`;
