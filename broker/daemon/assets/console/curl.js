// A publish as a line for a POSIX shell.

/** The line that does the same; `--data-raw`, since `-d` would read a file where the data begins with `@`. */
export function curlLine(url, type, data) {
  return `curl ${quoted(url)} \\\n  -H ${quoted(`Content-Type: ${type}`)} \\\n  --data-raw ${quoted(data)}`;
}

/** A word that the shell takes as it is: within single quotes only the single quote means something. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
