/** What is asked for beside a filter or a topic, and how the wire says it. */

import { toBase64 } from './base64.js';

/** What a subscription asks for. */
export interface SubscribeOptions {
  /** A cursor: everything above it comes first. */
  after?: string | undefined;
  /** First the newest so many kept of each matching topic. */
  last?: number | undefined;
  /** What the broker does when this client is too slow. */
  onSlow?: 'disconnect' | 'drop' | 'latest' | undefined;
  /** False: what this client publishes does not come back to it for this filter. */
  echo?: boolean | undefined;
  /** True: take part in the presence of the topic. */
  presence?: boolean | undefined;
  /** What the others are told of this one's presence. */
  data?: unknown;
}

/** How something is published. */
export interface PublishOptions {
  /** The media type: makes a string text; goes with bytes. */
  type?: string | undefined;
  /** At most 16 strings by name, for subscribers. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** After so many seconds the message is not replayed any more. */
  ttlS?: number | undefined;
  /** What makes a retry safe [default: one by chance]; false: none, and a cut may leave it unclear. */
  idempotencyKey?: string | false | undefined;
}

/** A frame of the client, without a trailing map that would say nothing. */
export function request(op: string, id: number, fields: readonly unknown[], options: object = {}): unknown[] {
  const told = Object.entries(options).filter(([, value]) => value !== undefined);
  return [op, id, ...fields, ...(told.length ? [Object.fromEntries(told)] : [])];
}

/** The options of `subscribe` with the names of the wire; what is the default is left out. */
export function subscribeFrame(id: number, filter: string, options: SubscribeOptions): unknown[] {
  const { after, last, onSlow, presence, data, echo } = options;
  const told = { after, last, on_slow: onSlow, presence: presence || undefined, data, echo: echo === false ? echo : undefined };
  return request('subscribe', id, [filter], told);
}

/** A `publish`; bytes are written as base64 unless the encoding has bytes. */
export function publishFrame(id: number, topic: string, data: unknown, options: PublishOptions, isBinary: boolean): unknown[] {
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data instanceof Uint8Array ? data : undefined;
  const encoding = bytes && !isBinary ? 'base64' : undefined;
  const { idempotencyKey, type, headers, ttlS } = options;
  const written = bytes ? (isBinary ? bytes : toBase64(bytes)) : (data ?? null);
  const told = { idempotency_key: idempotencyKey || undefined, type, encoding, headers, ttl_s: ttlS };
  return request('publish', id, [topic, written], told);
}
