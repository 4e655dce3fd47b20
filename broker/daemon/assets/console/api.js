// How the page asks the broker over HTTP.

/** Why a question was not answered, in plain words. */
export class Problem extends Error {
  constructor(message, { status = 0, detail = message } = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
  }
}

/** The address of a path of this broker, which may stand behind a prefix. */
export const address = (path) => new URL(path, document.baseURI);

/** The path of a topic. */
export const topicPath = (topic) => `v1/topics/${encodeURIComponent(topic)}`;

/** The answer as text, or the problem that came in its place. */
export async function askText(path, { method = "GET", type, body, signal } = {}) {
  const headers = type === undefined ? {} : { "Content-Type": type };
  let response;
  let text;
  try {
    response = await fetch(address(path), { method, headers, body, signal, cache: "no-store" });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw error instanceof TypeError ? new Problem("The broker can't be reached.") : error;
  }
  if (response.ok) return text;
  const { code, detail } = parsed(text) ?? {};
  const told = detail === undefined ? `The answer is ${response.status} ${response.statusText}` : `${detail} (${code})`;
  throw new Problem(told, { status: response.status, detail });
}

/** The answer as a value, or the problem that came in its place. */
export async function ask(path, options) {
  const value = parsed(await askText(path, options));
  if (value === undefined) throw new Problem("What answers here is no Fanfare broker.");
  return value;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
