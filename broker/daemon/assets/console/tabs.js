// Which part of the page is looked at: the address says so, and so each part can be bookmarked.

import { byId } from "./elements.js";

const NAMES = { live: "Live", topics: "Topics", topic: "Topics", sessions: "Sessions", health: "Health" };

/** The address of a part, and of what is looked at in it. */
export function hash(part, name) {
  return name === undefined ? `#/${part}` : `#/${part}/${encodeURIComponent(name)}`;
}

/** Parts of the page by their names, of which one is shown. */
export class Tabs {
  #parts;
  #shown = null;

  /** Each part has its section and is told of `show(name)` and `hide()`. */
  constructor(parts) {
    this.#parts = parts;
    addEventListener("hashchange", () => this.#follow(true));
    this.#follow(false);
  }

  #follow(isMove) {
    const { part, name } = read(location.hash, this.#parts);
    const before = this.#shown;
    this.#shown = part;
    if (before !== null && before !== part) this.#parts[before].hide();
    for (const [key, { section }] of Object.entries(this.#parts)) byId(section).hidden = key !== part;
    for (const link of byId("tabs").children) {
      if (link.textContent === NAMES[part]) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${name || NAMES[part]} · Fanfare`;
    this.#parts[part].show(name);
    // Whoever came by a link that is hidden by now would otherwise begin at the top of the page.
    const isAway = !document.activeElement || document.activeElement.closest("[hidden]") !== null
      || document.activeElement === document.body;
    if (isMove && before !== part && isAway) {
      byId(this.#parts[part].section).querySelector("h2").focus({ preventScroll: true });
    }
  }
}

function read(address, parts) {
  // A filter alone is followed.
  if (address.length > 1 && !address.startsWith("#/")) return { part: "live", name: decoded(address.slice(1)) };
  const [, part, rest = ""] = /^#\/([a-z]+)(?:\/(.*))?$/.exec(address) ?? [];
  return Object.hasOwn(parts, part ?? "") ? { part, name: decoded(rest) } : { part: "live", name: "" };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
