/** The tab that keeps the connection: to the other tabs, and to itself, it looks like a broker. */

import { fromBase64 } from '../base64.js';
import { connect, type Client, type Options } from '../client.js';
import type { FanfareError } from '../outcome.js';
import { asFrame, reasonOf } from './frames.js';
import { Shares } from './shares.js';

/** What is used of `navigator.locks`. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal; steal?: boolean }, held: () => Promise<void> | void): Promise<unknown>;
}

/** What tabs say to each other. */
export type Said =
  /** A tab is there; the leader welcomes it. */
  | { kind: 'hello' | 'bye'; tab: string }
  /** A frame of a tab, to the leader. */
  | { kind: 'asked'; tab: string; frame: unknown[] }
  /** A frame of the leader, to a tab. */
  | { kind: 'told'; leader: string; tab: string; frame: unknown[] }
  /** There is a new leader. */
  | { kind: 'leads'; leader: string }
  /** The leader is asked whether it is there; it is. */
  | { kind: 'there' | 'here'; leader: string }
  /** The leader's connection is closed for good. */
  | { kind: 'closed'; leader: string; code: number; reason: string };

/** How often tabs are told where their quiet filters stand. */
const TOLD_MS = 25_000;
/** Tabs ask whether the leader is there, and it knows by their locks that they are: there is no heartbeat. */
const NEVER_MS = 2 ** 31;

/** Leads until what it gives back is called, or another does. */
export function lead(url: string, name: string, options: Options, locks: Locks): () => void {
  const channel = new BroadcastChannel(name);
  const leader = crypto.getRandomValues(new Uint32Array(4)).join('-');
  const stop = new AbortController();
  const say = (said: Said) => stop.signal.aborted || channel.postMessage(said);
  const tell = (tab: string, ...frame: unknown[]) => say({ kind: 'told', leader, tab, frame });
  const open = (onStatus?: Options['onStatus']) => connect(url, { ...options, onStatus });
  let end: Said | undefined;
  const client = open((status) => {
    if (status.kind !== 'closed') return;
    end = { ...status, kind: 'closed', leader };
    clearInterval(timer);
    say(end);
  });
  const shares = new Shares(client, () => open(), tell);
  const timer = setInterval(() => shares.tellCursors(), TOLD_MS);

  const close = () => {
    stop.abort();
    clearInterval(timer);
    channel.close();
    shares.close();
  };

  channel.onmessage = ({ data }: MessageEvent<Said>) => {
    if (data.kind === 'leads') close();
    else if (end) say(end);
    // A frozen tab may still be told what others say, but its timers and its socket stand still.
    else if (data.kind === 'there') setTimeout(() => data.leader === leader && say({ kind: 'here', leader }));
    else if (data.kind === 'hello') {
      shares.forget(data.tab);
      tell(data.tab, 'welcome', null, { heartbeat_ms: NEVER_MS });
      const gone = () => shares.forget(data.tab);
      locks.request(`${name}:${data.tab}`, { signal: stop.signal }, gone).catch(() => {});
    } else if (data.kind === 'bye') shares.forget(data.tab);
    else if (data.kind === 'asked') answer(client, shares, data.tab, data.frame, tell);
  };
  say({ kind: 'leads', leader });
  return close;
}

type Tell = (tab: string, ...frame: unknown[]) => void;

function answer(client: Client, shares: Shares, tab: string, frame: unknown[], tell: Tell): void {
  const [op, id, name, a, b] = frame as [string, number, string, any, any];
  const answered = (body: object) => tell(tab, 'ok', id, body);
  const refused = (error: FanfareError) =>
    tell(tab, 'error', id, error.code, reasonOf(error), { retry_after_ms: error.retryAfterMs });
  if (op === 'subscribe') shares.subscribe(tab, id, name, a ?? {});
  else if (op === 'unsubscribe') {
    shares.unsubscribe(tab, name);
    answered({});
  } else if (op === 'history') {
    client.history(name, a).then(({ frames, ...rest }) => answered({ ...rest, frames: frames.map(asFrame) }), refused);
  } else if (op === 'presence') client.presence(name).then(answered, refused);
  else if (op === 'publish') {
    const { idempotency_key: idempotencyKey, encoding, ttl_s: ttlS, ...rest } = b ?? {};
    const data = encoding ? fromBase64(a) : a;
    client.publish(name, data, { ...rest, ttlS, idempotencyKey: idempotencyKey ?? false }).then(answered, refused);
  }
}
