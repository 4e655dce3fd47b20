// Debian's Chromium, one process for all stories of a file.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

import { chromium } from "playwright-core";

/** A name that leads to this machine, as a page's own may that was rebound. */
export const REBOUND = "rebound.example";
/** What browsers say on the console of connections that were cut. */
export const CUT = /ERR_(CONNECTION|SOCKET|INTERNET|NETWORK|FAILED|EMPTY)|WebSocket connection to .* failed|CORS policy/;

const places = process.env.PATH.split(delimiter).map((folder) => join(folder, "chromium"));
export const EXECUTABLE = process.env.FANFARE_CHROMIUM ?? places.find(existsSync) ?? "/usr/bin/chromium";
export const FLAGS = [
  ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
  // Shared memory is 64 MiB in many containers.
  "--disable-dev-shm-usage",
  `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`,
];

let launched = null;

/** A context of its own for a story: no cookie, no cache and no page of another. */
export async function context(options) {
  launched ??= chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
  const browser = await launched;
  return browser.newContext({ reducedMotion: "reduce", locale: "en-GB", timezoneId: "UTC", ...options });
}

export async function quit() {
  const browser = await launched;
  await browser?.close();
}
