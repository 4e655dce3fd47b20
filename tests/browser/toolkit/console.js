// The broker's own page at `/`, watched for what it must never do.

import assert from "node:assert/strict";

/** A page at the broker's `/`, or at the proxy's before it; `outside` lists what it asked of others. */
export async function openConsole(stage, { url }, { hash = "", ...options } = {}) {
  const page = await stage.page(options);
  const outside = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) outside.push(request.url());
  });
  page.on("websocket", (socket) => {
    if (!socket.url().startsWith(`${url.replace("http", "ws")}/`)) outside.push(socket.url());
  });
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      window.violations.push(`${violatedDirective}: ${blockedURI}`);
    });
  });
  await page.goto(`${url}/${hash}`);
  const assertProper = async () => {
    assert.deepEqual(outside, []);
    assert.deepEqual(await page.evaluate(() => window.violations), []);
  };
  return { page, assertProper };
}
