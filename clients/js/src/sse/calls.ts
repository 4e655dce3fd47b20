/** The calls of HTTP beside a stream: publishing in order, histories, presences. */

import { toBase64 } from '../base64.js';

/** The most publishes of one call: with the largest data of a publish it is half of what a broker takes. */
const BATCH_MAX = 8;

/** What is used of `fetch`. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

type Entries = Record<string, unknown>;

/** An answer that is no success, in the broker's words. */
export interface Problem {
  code: string;
  detail: string;
  retry_after_ms?: number;
}

/** What an answer says that is no success; it throws if these are not the broker's words. */
export async function problem(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Partial<Problem>;
  if (!body.code) throw new Error(`HTTP ${response.status}`);
  return body as Problem;
}

/** A frame that says it. */
export function refusal(id: number, { code, detail, retry_after_ms }: Problem): unknown[] {
  return ['error', id, code, detail ?? '', { retry_after_ms }];
}

/** Carries out requests one after another and answers them with frames. */
export class Calls {
  readonly #publishes: unknown[][] = [];
  #isPosting = false;

  constructor(
    readonly call: (path: string, init?: RequestInit) => Promise<Response>,
    readonly answer: (frame: unknown[]) => void,
    readonly failed: (error: unknown) => void,
  ) {}

  /** Publishes, in order; what comes while a call is under way goes with the next. */
  publish(frame: unknown[]): void {
    this.#publishes.push(frame);
    if (!this.#isPosting) void this.#post().catch(this.failed);
  }

  /** Asks for what a topic has: `messages` or `presence`. */
  async read(id: number, topic: string, what: string, options: Entries = {}): Promise<void> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given.map(([key, value]) => [key, `${value}`]));
    try {
      const response = await this.call(`/v1/topics/${encodeURIComponent(topic)}/${what}${`${query}` && `?${query}`}`);
      this.answer(response.ok ? ['ok', id, await response.json()] : refusal(id, await problem(response)));
    } catch (error) {
      this.failed(error);
    }
  }

  async #post(): Promise<void> {
    this.#isPosting = true;
    while (this.#publishes.length) {
      const frames = this.#publishes.splice(0, BATCH_MAX);
      const body = JSON.stringify(frames.map(item));
      const response = await this.call('/v1/publish', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json' },
      });
      const refused = response.ok ? undefined : await problem(response);
      const results = refused ? [] : ((await response.json()) as { results: Entries[] }).results;
      frames.forEach(([, id], at) => {
        const { topic, error = refused, ...body } = results[at] ?? {};
        this.answer(error ? refusal(id as number, error as Problem) : ['ok', id, body]);
      });
    }
    this.#isPosting = false;
  }
}

function item([, , topic, data, options]: unknown[]): Entries {
  const bytes = data instanceof Uint8Array && { data: toBase64(data), encoding: 'base64' };
  return { topic, data, ...(options as Entries | undefined), ...bytes };
}
