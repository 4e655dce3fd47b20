// Asking again and again, but only for what is looked at.

import { Problem } from "./api.js";

const EVERY_MS = 2_000;
const PATIENCE_MS = 10_000;

/** Looks every two seconds while it is started and the page is visible. */
export class Poll {
  #look;
  #failed;
  #isOn = false;
  #timer = null;
  #running = null;

  /** `look(signal)` asks and shows, `failed(problem)` tells why that was not possible. */
  constructor(look, failed) {
    this.#look = look;
    this.#failed = failed;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#rest();
      else this.now();
    });
  }

  start() {
    this.#isOn = true;
    this.now();
  }

  stop() {
    this.#isOn = false;
    this.#rest();
  }

  /** Looks at once; what is under way is given up. */
  now() {
    this.#rest();
    if (this.#isOn && !document.hidden) this.#turn();
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#running?.abort(new DOMException("not looked at any more", "AbortError"));
    this.#running = null;
  }

  async #turn() {
    const running = new AbortController();
    this.#running = running;
    const late = new Problem(`The broker did not answer within ${PATIENCE_MS / 1000} s.`);
    const patience = setTimeout(() => running.abort(late), PATIENCE_MS);
    const began = performance.now();
    try {
      await this.#look(running.signal);
    } catch (error) {
      if (this.#running === running) this.#failed(error);
      if (!(error instanceof Problem) && error.name !== "AbortError") throw error;
    } finally {
      clearTimeout(patience);
      if (this.#running === running) {
        // An answer that costs much is not asked for as often.
        const wait = Math.max(EVERY_MS, 10 * (performance.now() - began));
        this.#timer = setTimeout(() => this.#turn(), wait);
      }
    }
  }
}

/** How fast numbers rise between two looks. */
export class Rates {
  #before = new Map();
  #beforeMs = 0;

  /** The rise in a second of each of these numbers; null for one that is new or began again. */
  of(numbers) {
    const now = performance.now();
    const seconds = (now - this.#beforeMs) / 1000;
    const rates = new Map();
    for (const [key, value] of numbers) {
      const before = this.#before.get(key);
      rates.set(key, before === undefined || value < before ? null : (value - before) / seconds);
    }
    this.#before = new Map(numbers);
    this.#beforeMs = now;
    return rates;
  }

  /** Forgets what was before, so that no rate spans the time in which nobody looked. */
  forget() {
    this.#before.clear();
  }
}
