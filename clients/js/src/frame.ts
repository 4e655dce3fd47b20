/** How a frame of the broker is read: keys and elements that are not known are passed over. */

import { fromBase64 } from './base64.js';
import { readCode } from './code.js';
import { isPosition } from './cursor.js';
import type { Gap, Message } from './event.js';
import { FanfareError } from './outcome.js';

/** A test of what a value is. */
type Test = (value: any) => boolean;

export const isText: Test = (value) => typeof value === 'string';
export const isCount: Test = (value) => Number.isSafeInteger(value) && value >= 0;
export const isCloseCode: Test = (value) => isCount(value) && value < 65536;
export const isArray: Test = Array.isArray;
export const isMap: Test = (value) => typeof value === 'object' && !isArray(value);

/** A value that must be there and of that kind, else it throws. */
export function need(value: unknown, is: Test): any {
  if (value == null || !is(value)) throw new Error('unreadable');
  return value;
}

/** A value that may be absent, which null is too. */
export const may = (value: unknown, is: Test): any => (value == null ? undefined : need(value, is));

/** The entries of a map that are there; some must be of a certain kind. */
export function entries(value: unknown, kinds: Record<string, Test> = {}): any {
  const found = { ...may(value, isMap) };
  for (const key in found) {
    if (found[key] == null) delete found[key];
    else if (kinds[key]) need(found[key], kinds[key]);
  }
  return found;
}

/** A `message` or `gap`; `undefined` if it is something else, as later versions may have. */
export function readEvent(value: unknown): Message | Gap | undefined {
  const [kind, topic, from, to, extra] = need(value, isArray);
  const { encoding, ...rest } = entries(extra);
  if (kind === 'gap')
    return { ...rest, kind, topic: may(topic, isText), from: need(from, isPosition), to: need(to, isPosition) };
  if (kind !== 'message') return;
  const data = encoding === 'base64' ? fromBase64(need(to, isText)) : to;
  if (data === undefined) throw new Error('unreadable');
  return { ...rest, kind, topic: need(topic, isText), position: need(from, isPosition), data };
}

/** Why something was refused: what an `error` and an `unsubscribed` say. */
export function readRefusal([, , code, reason, extra]: unknown[]): FanfareError {
  return new FanfareError(
    ...readCode(need(code, isText), `${reason ?? ''}`),
    entries(extra, { retry_after_ms: isCount }).retry_after_ms,
  );
}
