/** The frames of the broker: keys and elements that are not known are passed over. */

import { fromBase64 } from './base64.js';
import { readCode } from './code.js';
import { parseCursor, parsePosition } from './cursor.js';
import type { Gap, Message, Presence } from './event.js';

/** What the broker says of itself. */
export interface Welcome {
  session?: string;
  resume?: string;
  user?: string;
  heartbeat_ms?: number;
  limits?: { frame_bytes?: number; [other: string]: unknown };
}

/** What an answer says; which of it is there depends on the request. */
export interface OkBody {
  cursor?: string;
  position?: string;
  frames?: (Message | Gap)[];
  [other: string]: unknown;
}

/** Why something was refused, and after how long trying again helps. */
export interface Refusal {
  code: string;
  reason: string;
  retry_after_ms?: number;
}

/** A frame of the broker, with the names of the wire. */
export type Frame =
  | { op: 'welcome'; id?: number; welcome: Welcome }
  | { op: 'ok'; id: number; body: OkBody }
  | ({ op: 'error'; id?: number } & Refusal)
  | { op: 'event'; event: Message | Gap | Presence }
  | { op: 'replay'; filter: string; event: Message | Gap }
  | { op: 'live'; filter?: string; cursor: string }
  | ({ op: 'unsubscribed'; filter: string } & Refusal)
  | { op: 'ping'; cursor: string }
  | { op: 'goodbye'; code: number; reason: string; reconnect_after_ms?: number };

type Kind<T> = readonly [name: string, test: (value: any) => unknown, type?: T];
type Entries = Record<string, unknown>;

const TEXT: Kind<string> = ['string', (value) => typeof value === 'string'];
const NUMBER: Kind<number> = ['whole number', (value) => Number.isSafeInteger(value) && value >= 0];
const CLOSE_CODE: Kind<number> = ['close code', (value) => NUMBER[1](value) && value < 65536];
const ARRAY: Kind<unknown[]> = ['array', Array.isArray];
const MAP: Kind<Entries> = ['map', (value) => typeof value === 'object' && !Array.isArray(value)];
const POSITION: Kind<string> = ['position', (value) => TEXT[1](value) && parsePosition(value)];
const CURSOR: Kind<string> = ['cursor', (value) => TEXT[1](value) && parseCursor(value)];

/** A value that must be there and of that kind. */
function need<T>(value: unknown, name: string, [kind, test]: Kind<T>): T {
  if (value == null) throw new Error(`${name} is missing`);
  if (!test(value)) throw new Error(`${name} is no ${kind}`);
  return value as T;
}

/** A value that may be absent, which null is too. */
const may = <T>(value: unknown, name: string, kind: Kind<T>) => (value == null ? undefined : need(value, name, kind));

/** The entries of a map that are there, those of some keys alone if keys are given; some are of a certain kind. */
function entries(value: unknown, kinds: Record<string, Kind<unknown>>, keys?: string): any {
  const found: Entries = {};
  for (const [key, entry] of Object.entries(may(value, 'map', MAP) ?? {})) {
    if (entry != null && (!keys || keys.split(' ').includes(key))) found[key] = kinds[key] ? need(entry, key, kinds[key]) : entry;
  }
  return found;
}

function message([, topic, position, data, meta]: unknown[]): Message {
  if (data === undefined) throw new Error('data is missing');
  return {
    kind: 'message',
    topic: need(topic, 'topic', TEXT),
    position: need(position, 'position', POSITION),
    data: (meta as Entries | undefined)?.['encoding'] === 'base64' ? fromBase64(data as string) : data,
    ...entries(meta, {}, 'type time user headers'),
  };
}

function gap([, topic, from, to, extra]: unknown[]): Gap {
  return {
    kind: 'gap',
    ...(topic != null && { topic: need(topic, 'topic', TEXT) }),
    from: need(from, 'from', POSITION),
    to: need(to, 'to', POSITION),
    ...entries(extra, {}, 'count'),
  };
}

/** What may stand in a replay or a history; `undefined` if it is of a later version. */
function past(value: unknown): Message | Gap | undefined {
  const frame = need(value, 'frame', ARRAY);
  const op = need(frame[0], 'op', TEXT);
  return op === 'message' ? message(frame) : op === 'gap' ? gap(frame) : undefined;
}

const refusal = (code: unknown, reason: unknown, extra: unknown): Refusal => ({
  ...readCode(need(code, 'code', TEXT), may(reason, 'reason', TEXT) ?? ''),
  ...entries(extra, { retry_after_ms: NUMBER }, 'retry_after_ms'),
});

/** The frame that a decoded value is; `undefined` if it is of a later version. It throws if it is none at all. */
export function readFrame(value: unknown): Frame | undefined {
  const frame = need(value, 'frame', ARRAY);
  const [op, a, b, c, d] = frame;
  const event = past(frame);
  if (event) return { op: 'event', event };
  switch (op) {
    case 'replay': {
      const event = past(b);
      return event && { op, filter: need(a, 'filter', TEXT), event };
    }
    case 'live':
      return { op, filter: may(a, 'filter', TEXT), cursor: need(b, 'cursor', CURSOR) };
    case 'ping':
      return { op, cursor: need(a, 'cursor', CURSOR) };
    case 'ok': {
      const body = entries(b, { cursor: CURSOR, position: POSITION, frames: ARRAY });
      if (body.frames) body.frames = body.frames.flatMap((frame: unknown) => past(frame) ?? []);
      return { op, id: need(a, 'id', NUMBER), body };
    }
    case 'error':
      return { op, id: may(a, 'id', NUMBER), ...refusal(b, c, d) };
    case 'unsubscribed':
      return { op, filter: need(a, 'filter', TEXT), ...refusal(b, c, d) };
    case 'welcome':
      return { op, id: may(a, 'id', NUMBER), welcome: entries(b, { heartbeat_ms: NUMBER, limits: MAP }) };
    case 'goodbye':
      return { op, code: need(a, 'code', CLOSE_CODE), reason: may(b, 'reason', TEXT) ?? '', ...entries(c, { reconnect_after_ms: NUMBER }) };
    case 'join':
    case 'leave':
      return { op: 'event', event: { kind: op, topic: need(a, 'topic', TEXT), ...entries(b, {}) } };
    default:
      return undefined;
  }
}
