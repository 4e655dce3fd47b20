/** What is asked for beside a filter or a topic, and how the wire says it. */

import { toBase64 } from './base64.js';
import { request } from './session/outbox.js';

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

/** Which part of a history is read. */
export interface HistoryOptions {
  /** A cursor: the oldest above it, and not the newest. */
  after?: string | undefined;
  /** At most so many. */
  limit?: number | undefined;
}

/** A `publish`; bytes are written as base64 unless the encoding has bytes. */
export function publishFrame(
  id: number,
  topic: string,
  data: unknown,
  key: string | false,
  { type, headers, ttlS: ttl_s }: PublishOptions,
  isBinary: boolean,
): unknown[] {
  const isBase64 = data instanceof Uint8Array && !isBinary;
  const encoding = isBase64 ? 'base64' : undefined;
  const frame = request('publish', id, topic, { idempotency_key: key || undefined, type, encoding, headers, ttl_s });
  frame.splice(3, 0, isBase64 ? toBase64(data) : (data ?? null));
  return frame;
}
