/** The frames of the broker: keys and elements that are not known are passed over. */

import { fromBase64 } from './base64.js';
import { readCode } from './code.js';
import { cursorParts, parsePosition } from './cursor.js';
import type { Gap, Message, Presence } from './event.js';

/** What the broker says of itself. */
export interface Welcome {
  session?: string;
  resume?: string;
  user?: string;
  heartbeat_ms?: number;
  limits: Record<string, number>;
}

/** What an answer says; which of it is there depends on the request. */
export interface OkBody {
  cursor?: string;
  resumed?: boolean;
  position?: string;
  heard?: boolean;
  receivers?: number;
  repeated?: boolean;
  frames?: (Message | Gap)[];
  more?: boolean;
  [other: string]: unknown;
}

/** A frame of the broker, with the names of the wire. */
export type Frame =
  | { op: 'welcome'; id?: number; welcome: Welcome }
  | { op: 'ok'; id: number; body: OkBody }
  | { op: 'error'; id?: number; code: string; reason: string; retry_after_ms?: number }
  | { op: 'event'; event: Message | Gap | Presence }
  | { op: 'replay'; filter: string; event: Message | Gap }
  | { op: 'live'; filter?: string; cursor: string }
  | { op: 'unsubscribed'; filter: string; code: string; reason: string; retry_after_ms?: number }
  | { op: 'ping'; cursor: string }
  | { op: 'goodbye'; code: number; reason: string; reconnect_after_ms?: number };

type Read<T> = (value: unknown, name: string) => T;
type Entries = Record<string, unknown>;

const fail = (why: string): never => {
  throw new Error(why);
};

/** A reader of what may be absent, which null is too. */
const maybe = <T>(read: Read<T>): Read<T | undefined> => (value, name) => (value == null ? undefined : read(value, name));

const present = (value: unknown, name: string): unknown => value ?? fail(`${name} is missing`);

const text: Read<string> = (value, name) =>
  typeof present(value, name) === 'string' ? (value as string) : fail(`${name} is no string`);

const number: Read<number> = (value, name) =>
  Number.isSafeInteger(present(value, name)) && (value as number) >= 0
    ? (value as number)
    : fail(`${name} is no whole number`);

const position: Read<string> = (value, name) =>
  parsePosition(text(value, name)) ? (value as string) : fail(`${name} is no position`);

const cursor: Read<string> = (value, name) =>
  cursorParts(text(value, name))?.join() ?? fail(`${name} is no cursor`);

const map: Read<Entries> = (value, name) =>
  typeof (value ?? {}) === 'object' && !Array.isArray(value) ? ((value ?? {}) as Entries) : fail(`${name} is no map`);

const array: Read<unknown[]> = (value, name) =>
  Array.isArray(present(value, name)) ? (value as unknown[]) : fail(`${name} is no array`);

const fact: Read<boolean> = (value, name) => (typeof value === 'boolean' ? value : fail(`${name} is no boolean`));

/** The entries of a map that are not null. */
const told = (value: unknown, name: string): Entries =>
  Object.fromEntries(Object.entries(map(value, name)).filter(([, entry]) => entry != null));

/** The entries of a map that are known, read. */
function known(value: unknown, name: string, readers: Record<string, Read<unknown>>): Entries {
  const entries = map(value, name);
  const found: Entries = {};
  for (const key in readers) {
    const entry = entries[key];
    if (entry != null) found[key] = readers[key]!(entry, key);
  }
  return found;
}

const limits: Read<Entries> = (value, name) =>
  Object.fromEntries(Object.entries(map(value, name)).map(([key, limit]) => [key, number(limit, key)]));

const WELCOME = { session: text, resume: text, user: text, heartbeat_ms: number, limits };
const OK = {
  cursor,
  resumed: fact,
  position,
  heard: fact,
  receivers: number,
  repeated: fact,
  frames: (value: unknown, name: string) =>
    array(value, name).flatMap((frame) => pastEvent(array(frame, 'frame')) ?? []),
  more: fact,
};
const META = { type: text, encoding: text, time: number, user: text, headers: map };
const PRESENCE = { session: text, user: text, data: (value: unknown) => value };

function message([, topic, place, data, meta]: unknown[]): Message {
  const { encoding, ...rest } = known(meta, 'meta', META);
  if (data === undefined) fail('data are missing');
  let value = data;
  if (encoding === 'base64') {
    try {
      value = fromBase64(text(data, 'data'));
    } catch {
      fail('data is no base64');
    }
  }
  return { kind: 'message', topic: text(topic, 'topic'), position: position(place, 'position'), data: value, ...rest };
}

function gap([, topic, from, to, extra]: unknown[]): Gap {
  return {
    kind: 'gap',
    ...(topic != null && { topic: text(topic, 'topic') }),
    from: position(from, 'from'),
    to: position(to, 'to'),
    ...known(extra, 'gap', { count: number }),
  };
}

/** What may stand in a replay or a history; `undefined` if it is of a later version. */
function pastEvent(frame: unknown[]): Message | Gap | undefined {
  const op = text(frame[0], 'op');
  return op === 'message' ? message(frame) : op === 'gap' ? gap(frame) : undefined;
}

const failure = (code: unknown, reason: unknown, extra: unknown) => ({
  ...readCode(text(code, 'code'), text(reason ?? '', 'reason')),
  ...known(extra, 'error', { retry_after_ms: number }),
});

/** The frame that a decoded value is; `undefined` if it is of a later version. It throws if it is none at all. */
export function readFrame(value: unknown): Frame | undefined {
  const frame = array(value, 'frame');
  const [, a, b, c, d] = frame;
  const op = text(frame[0], 'op');
  switch (op) {
    case 'message':
      return { op: 'event', event: message(frame) };
    case 'gap':
      return { op: 'event', event: gap(frame) };
    case 'replay': {
      const event = pastEvent(array(b, 'frame'));
      return event && { op, filter: text(a, 'filter'), event };
    }
    case 'live':
      return { op, filter: maybe(text)(a, 'filter'), cursor: cursor(b, 'cursor') };
    case 'ping':
      return { op, cursor: cursor(a, 'cursor') };
    case 'ok':
      return { op, id: number(a, 'id'), body: { ...told(b, 'body'), ...known(b, 'body', OK) } };
    case 'error':
      return { op, id: maybe(number)(a, 'id'), ...failure(b, c, d) };
    case 'unsubscribed':
      return { op, filter: text(a, 'filter'), ...failure(b, c, d) };
    case 'welcome':
      return { op, id: maybe(number)(a, 'id'), welcome: { limits: {}, ...known(b, 'welcome', WELCOME) } };
    case 'goodbye': {
      const code = number(a, 'code');
      if (code > 65535) fail('code is no close code');
      return { op, code, reason: text(b ?? '', 'reason'), ...known(c, 'goodbye', { reconnect_after_ms: number }) };
    }
    case 'join':
    case 'leave':
      return { op: 'event', event: { kind: op, topic: text(a, 'topic'), ...known(b, op, PRESENCE) } };
    default:
      return undefined;
  }
}
