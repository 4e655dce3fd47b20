// Following a filter live.

import { byId, element, tell } from "./elements.js";
import { Follower } from "./follower.js";
import { counted } from "./formats.js";
import { noticeRow, rowOf } from "./messages.js";
import { hash } from "./tabs.js";

const ROWS_MAX = 200;
const DRAW_EVERY_MS = 100;

/** What is followed, and what came. */
export class Live {
  section = "live";
  #follower = new Follower(this);
  #filter = "";
  /** Frames and remarks that are not drawn yet. */
  #waiting = [];
  #count = 0;
  #isPaused = false;
  #isDrawing = false;
  /** When it was drawn last. */
  #drawn = 0;

  constructor() {
    byId("follow").addEventListener("submit", (event) => {
      event.preventDefault();
      const filter = byId("filter").value.trim();
      const before = location.hash;
      location.hash = hash("live", filter);
      // The same filter once more begins anew.
      if (location.hash === before) this.#begin(filter);
    });
    byId("pause").addEventListener("click", () => this.#pause(!this.#isPaused));
    byId("clear").addEventListener("click", () => this.#clear());
    byId("stop").addEventListener("click", () => this.#stop());
    byId("reconnect").addEventListener("click", () => this.#follower.connect());
    this.#follower.connect();
  }

  /** The name of this page's own session. */
  get session() {
    return this.#follower.session;
  }

  show(filter) {
    if (filter !== "" && filter !== this.#filter) this.#begin(filter);
  }

  hide() {}

  #begin(filter) {
    this.#filter = filter;
    byId("filter").value = filter;
    byId("follow-buttons").hidden = false;
    document.querySelector("[data-tab=live]").href = hash("live", filter);
    this.#clear();
    this.#pause(false);
    this.#say(`Asking for ${filter} …`);
    this.#follower.follow(filter);
  }

  #stop() {
    this.#follower.follow(null);
    this.#say(`${this.#filter} is not followed any more.`);
    this.#pause(false);
    this.ended();
    history.replaceState(null, "", hash("live"));
  }

  #clear() {
    this.#waiting = [];
    this.#count = 0;
    byId("messages").replaceChildren();
    this.#tellSeen();
  }

  #pause(isPaused) {
    this.#isPaused = isPaused;
    tell(byId("pause"), isPaused ? "Go on" : "Pause");
    byId("pause").setAttribute("aria-pressed", isPaused);
    this.#tellSeen();
    this.#drawSoon();
  }

  // What the follower tells.

  state(name, text) {
    byId("state").dataset.state = name;
    tell(byId("state"), text);
    byId("reconnect").hidden = name !== "closed" && name !== "waiting";
  }

  following(filter, resumed) {
    this.#say(`Following ${filter}${resumed === true ? "; nothing was missed" : ""}.`);
  }

  trouble(text) {
    this.#say(text, "bad");
  }

  ended() {
    this.#filter = "";
    this.#tellSeen();
    byId("follow-buttons").hidden = true;
    document.querySelector("[data-tab=live]").href = hash("live");
  }

  arrived(frame) {
    if (frame[0] === "message") this.#count += 1;
    this.#add(frame);
  }

  notice(text) {
    this.#add(text);
  }

  /** Frames wait for the next drawing, so that a flood of them costs ten drawings a second. */
  #add(frame) {
    this.#waiting.push(frame);
    if (this.#waiting.length > 2 * ROWS_MAX) this.#waiting = this.#waiting.slice(-ROWS_MAX);
    this.#drawSoon();
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    const draw = () => {
      this.#isDrawing = false;
      this.#drawn = performance.now();
      this.#tellSeen();
      if (!this.#isPaused) this.#draw();
    };
    setTimeout(() => requestAnimationFrame(draw), Math.max(0, this.#drawn + DRAW_EVERY_MS - performance.now()));
  }

  #draw() {
    const frames = this.#waiting.slice(-ROWS_MAX).reverse();
    if (frames.length === 0) return;
    this.#waiting = [];
    const list = byId("messages");
    list.prepend(...frames.map((frame) => (typeof frame === "string" ? noticeRow(frame) : rowOf(frame))));
    while (list.childElementCount > ROWS_MAX) list.lastElementChild.remove();
  }

  #tellSeen() {
    if (this.#filter === "") return tell(byId("seen"), "");
    if (this.#count === 0) return tell(byId("seen"), "No message yet.");
    const many = counted(this.#count, "message");
    const shown = this.#count > ROWS_MAX ? `, of which the newest ${ROWS_MAX} are kept here` : "";
    tell(byId("seen"), this.#isPaused ? `Paused. ${many} so far${shown}.` : `${many} so far${shown}.`);
  }

  #say(text, className = "") {
    const place = byId("following");
    if (place.textContent !== text) place.replaceChildren(element("span", "", text));
    place.className = className;
  }
}
