/**
 * A session's story as text: what happens to it, and after each line exactly what it says to do.
 *
 * `<` is a frame of the broker, `>` one of the client's, `- ` something else that happens, `= ` something else to do.
 * Time stands still but for `- wait`.
 */

import assert from 'node:assert/strict';
import type { Event } from '../../src/event.js';
import { FanfareError } from '../../src/outcome.js';
import { publishFrame, type SubscribeOptions } from '../../src/options.js';
import { createSession, type Input, type Output, type Session } from '../../src/session.js';

/** Runs the lines that happen and compares everything that is said with the other lines. */
export function check(story: string): void {
  const lines = story
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'));
  const teller = new Teller();
  const told: string[] = [];
  for (const line of lines) {
    if (!line.startsWith('< ') && !line.startsWith('- ')) continue;
    const isFirst = told.length === 0;
    told.push(line, ...(isFirst ? teller.beginning : []), ...teller.happens(line).map(said));
  }
  assert.deepEqual(told, lines);
}

class Teller {
  readonly session: Session = createSession(() => 0.5);
  nowMs = 1_000;
  /** What a new session says before anything happens. */
  readonly beginning = this.session.handle(this.nowMs, { kind: 'begin' }).map(said);

  happens(line: string): Output[] {
    if (line.startsWith('< ')) return this.tell({ kind: 'frame', frame: JSON.parse(line.slice(2)) });
    const [what, name = '', ...rest] = line.slice(2).split(' ');
    switch (what) {
      case 'begin':
        return [];
      case 'open':
        return this.tell({ kind: 'opened' });
      case 'close':
        return this.tell(name ? { kind: 'closed', code: Number(name), reason: 'test' } : { kind: 'close' });
      case 'wait':
        this.nowMs += Number(name);
        return this.tell({ kind: 'tick' });
      case 'heard':
      case 'wake':
        return this.tell({ kind: what });
      case 'token':
        return this.tell({ kind: what, token: name, lifetimeMs: Number(rest[0]) });
      case 'subscribe':
        return this.tell({ kind: 'subscribe', filter: name, options: options(rest) });
      case 'unsubscribe':
      case 'hold':
      case 'release':
        return this.tell({ kind: what, filter: name });
      case 'publish':
        return this.publish(name, rest);
      default:
        assert.fail(`${line} does not happen`);
    }
  }

  publish(topic: string, [data, key]: string[]): Output[] {
    const id = this.session.takeId();
    const frame = publishFrame(id, topic, JSON.parse(data!), key ?? false, {}, false);
    return this.tell({ kind: 'request', id, frame, bytes: JSON.stringify(frame).length, isRepeatable: !!key });
  }

  tell(input: Input): Output[] {
    return this.session.handle(this.nowMs, input);
  }
}

function options(words: string[]): SubscribeOptions {
  return Object.fromEntries(
    words.map((word) => {
      const [key, value] = word.split('=') as [string, string];
      return [key, key === 'after' ? value : JSON.parse(value)];
    }),
  );
}

function said(output: Output): string {
  switch (output.kind) {
    case 'send':
      return `> ${JSON.stringify(output.frame)}`;
    case 'event':
      return `= ${output.filter} ${eventSaid(output.event)}`;
    case 'moved':
      return `= ${output.filter} stands at ${output.cursor}`;
    case 'ended':
      return `= ${output.filter} ${endSaid(output.error)}`;
    case 'answered':
      return output.result instanceof FanfareError
        ? `= ${output.id} failed: ${output.result.code}`
        : `= ${output.id} published ${output.result.position}`;
    case 'drop':
      return output.code ? `= close ${output.code}` : '= drop';
    case 'connect':
    case 'refresh':
      return `= ${output.kind}`;
  }
}

function eventSaid(event: Event): string {
  switch (event.kind) {
    case 'message':
      return `gets ${event.topic} ${event.position}`;
    case 'gap':
      return `${event.topic === undefined ? 'may miss' : `misses ${event.topic}`} after ${event.from} up to ${event.to}`;
    case 'live':
      return `is live at ${event.cursor}`;
    case 'join':
    case 'leave':
      return `is told of a ${event.kind} at ${event.topic}`;
  }
}

function endSaid({ code, closeCode, message }: FanfareError): string {
  return closeCode ? `is closed: ${closeCode}` : `ends: ${code} ${message.replace(/ \([^)]*\)$/, '')}`;
}
