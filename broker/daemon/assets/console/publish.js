// Publishing by hand, and the line for a shell that does the same.

import { address, ask, topicPath } from "./api.js";
import { curlLine } from "./curl.js";
import { byId, tell } from "./elements.js";
import { counted } from "./formats.js";

const COPIED_MS = 2_000;

/** Ends what the button says for a moment. */
let told = null;

/** Brings the form to life. */
export function beginToPublish() {
  const form = byId("publish");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    publish();
  });
  byId("data").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("input", showLine);
  byId("copy").addEventListener("click", copy);
  // Where there is room it stands open beside what is followed.
  byId("publisher").open = matchMedia("(min-width: 56rem)").matches;
  showLine();
}

/** Fills in the topic, and goes to the data. */
export function publishTo(topic) {
  byId("topic").value = topic;
  byId("publisher").open = true;
  showLine();
  byId("data").focus();
}

/** What the form says. */
function written() {
  const topic = byId("topic").value.trim();
  const data = byId("data").value;
  return { path: topicPath(topic), data, type: isJson(data) ? "application/json" : "text/plain; charset=utf-8" };
}

function showLine() {
  const { path, data, type } = written();
  tell(byId("curl"), curlLine(address(path).href, type, data));
}

async function publish() {
  const { path, data, type } = written();
  try {
    const { position, heard, receivers } = await ask(path, { method: "POST", type, body: data });
    const by = receivers === undefined ? "" : ` by ${counted(receivers, "session")}`;
    say(`Published at ${position}, ${heard ? `heard${by}` : "nobody listens"}.`, "good");
  } catch (problem) {
    say(problem.message, "bad");
  }
}

function say(text, className) {
  tell(byId("answer"), text);
  byId("answer").className = `answer ${className}`;
}

async function copy() {
  const isCopied = await copied(byId("curl"));
  tell(byId("copy"), isCopied ? "Copied" : "Press Ctrl + C");
  clearTimeout(told);
  told = setTimeout(() => tell(byId("copy"), "Copy"), COPIED_MS);
}

async function copied(place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    return true;
  } catch {
    // Without TLS beyond this machine there is no clipboard; a selection can be copied.
    getSelection().selectAllChildren(place);
    return document.execCommand("copy");
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
