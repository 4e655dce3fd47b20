// How messages and gaps look.

import { button, element, link } from "./elements.js";
import { count } from "./formats.js";
import { hash } from "./tabs.js";

/** More of a message is shown when it is asked for. */
const SHOWN_MAX = 1_000;

/** What stands in a list for a frame `message` or `gap`. */
export function rowOf(frame) {
  return frame[0] === "message" ? messageRow(frame) : noticeRow(gapText(frame));
}

/** A remark among the messages. */
export const noticeRow = (text) => element("li", "gap", text);

/** A frame's key within its list. */
export const keyOf = (frame) => (frame[0] === "message" ? frame[2] : JSON.stringify(frame));

function messageRow([, topic, position, data, meta]) {
  const { time, type, encoding, user, headers } = meta ?? {};
  const head = element("div", "meta");
  const when = element("time", "", time === undefined ? "" : new Date(time).toLocaleTimeString());
  if (time !== undefined) when.dateTime = new Date(time).toISOString();
  const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const kind = [type, encoding, user && `by ${user}`, ...own].filter(Boolean).join(", ");
  head.append(
    link(hash("topic", topic), topic, "topic"),
    when,
    element("span", "position", position),
    element("span", "kind", kind),
  );
  const row = element("li");
  row.append(head, ...shown(type && typeof data === "string" ? data : JSON.stringify(data)));
  return row;
}

function shown(text) {
  const pre = element("pre", "data", text);
  const rest = text.length - SHOWN_MAX;
  if (rest <= 0) return [pre];
  pre.textContent = `${text.slice(0, SHOWN_MAX)}…`;
  const more = button(`Show ${count(rest)} more characters`, "quiet", () => {
    pre.textContent = text;
    more.remove();
  });
  return [pre, more];
}

function gapText([, topic, from, to, more]) {
  if (topic === null) return `Messages after ${from} up to ${to} may be missing.`;
  const missing = more?.count;
  const many = missing === undefined ? "Messages" : `${count(missing)} message${missing === 1 ? "" : "s"}`;
  return `${many} of ${topic} after ${from} up to ${to} ${missing === 1 ? "is" : "are"} missing.`;
}
