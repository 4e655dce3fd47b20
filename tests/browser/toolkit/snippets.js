// The pieces of a page of documentation, each of which some story has to run.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const FENCED = /^```(\w+)(?: (\S+))?\n(.*?)^```$/gms;
const BROKER = "127.0.0.1:8900";
const PAGES = "127.0.0.1:8000";

/** The fenced blocks of a Markdown file, by language and name: `html page.html`. */
export class Snippets {
  #texts = new Map();
  #taken = new Set();

  /** Those of all languages, or of these. */
  constructor(url, languages) {
    for (const [, language, name, text] of readFileSync(url, "utf8").matchAll(FENCED)) {
      if (languages && !languages.includes(language)) continue;
      const key = `${language} ${name ?? this.#texts.size + 1}`;
      assert.ok(!this.#texts.has(key), `two blocks are called ${key}`);
      this.#texts.set(key, text);
    }
  }

  keys() {
    return [...this.#texts.keys()];
  }

  /** A block for the story that runs it, with the addresses of its broker and its server of pages. */
  take(key, { broker = BROKER, pages = PAGES } = {}) {
    const text = this.#texts.get(key);
    assert.ok(text !== undefined, `there is no block ${key}, but ${this.keys()}`);
    this.#taken.add(key);
    return text.replaceAll(BROKER, broker).replaceAll(PAGES, pages);
  }

  /** A test, to be told last, that each block was taken. */
  allAreRun() {
    test("each of its blocks is run", () => {
      assert.deepEqual(this.keys().filter((key) => !this.#taken.has(key)), []);
    });
  }
}

/** Waits until the page shows this text in its `pre`. */
export async function shows(page, text) {
  const holds = (text) => document.querySelector("pre")?.textContent === text;
  await page.waitForFunction(holds, text).catch(async (error) => {
    const shown = await page.evaluate(() => document.querySelector("pre")?.textContent);
    assert.equal(shown, text, error.message);
  });
}
