// What ends a wait in vain.

const PATIENCE_MS = 20_000;

/** The promise's value, or an error that says what did not come in time and, by `more`, what did. */
export async function within(what, promise, more = () => "") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE_MS} ms; ${more()}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
