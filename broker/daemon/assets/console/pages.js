// Going through a long list page by page.

import { byId } from "./elements.js";
import { count } from "./formats.js";

export const PAGE = 100;

/** Where one stands in a list whose next page begins after the last name of this one. */
export class Pages {
  #before = [];
  #last = null;

  /** The two buttons are found by the list's id; `moved` is told when another page is wanted. */
  constructor(name, what, moved) {
    this.what = what;
    this.previous = byId(`${name}-previous`);
    this.next = byId(`${name}-next`);
    this.previous.addEventListener("click", () => {
      this.#before.pop();
      moved();
    });
    this.next.addEventListener("click", () => {
      this.#before.push(this.#last);
      moved();
    });
  }

  /** What to ask for this page. */
  get query() {
    const query = new URLSearchParams({ limit: PAGE });
    const after = this.#before.at(-1);
    if (after !== undefined) query.set("after", after);
    return query;
  }

  first() {
    this.#before = [];
  }

  /** Takes note of the names that came, and tells which they are: "Topics 101 to 200", say; nothing if they are all. */
  came(names, more) {
    this.#last = names.at(-1);
    this.previous.hidden = this.#before.length === 0;
    this.next.hidden = !more;
    const skipped = this.#before.length * PAGE;
    if (skipped === 0 && !more) return "";
    if (names.length === 0) return "Nothing is left on this page; the others are before it.";
    return `${this.what} ${count(skipped + 1)} to ${count(skipped + names.length)}.`;
  }
}
