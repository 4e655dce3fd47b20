/** A cut between any two frames: what is asked for then is what the last frame before it says. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSession, type Input } from '../src/session.js';

const GAP = (from: string, to: string) => ['gap', null, from, to];
const MESSAGE = (topic: string, position: string) => ['message', topic, position, 1];

/** A broker's frames, and after each of them what two overlapping filters ask for if the connection breaks there. */
const STORY: [frame: unknown[], all: object, one: object][] = [
  [['welcome', null, { heartbeat_ms: 25_000 }], { after: '0.k:3' }, { last: 2 }],
  [['ok', 1, { cursor: '0.k:3', resumed: false }], { after: '0.k:3' }, { last: 2 }],
  [['replay', 'a.>', ['gap', 'a.c', '0.k:3', '0.k:5', { count: 1 }]], { after: '0.k:3' }, { last: 2 }],
  [['ok', 2, { cursor: '0.k:9' }], { after: '0.k:3' }, { after: '0.k:9', last: 2 }],
  [['replay', 'a.>', MESSAGE('a.b', '0.k:6')], { after: '0.k:6' }, { after: '0.k:9', last: 2 }],
  [['replay', 'a.b', MESSAGE('a.b', '0.k:6')], { after: '0.k:6' }, { after: '0.k:6' }],
  [['replay', 'a.b', MESSAGE('a.b', '0.k:9')], { after: '0.k:6' }, { after: '0.k:9' }],
  [['live', 'a.b', '0.k:9'], { after: '0.k:6' }, { after: '0.k:9' }],
  [MESSAGE('a.b', '0.k:10'), { after: '0.k:6' }, { after: '0.k:10' }],
  [['ping', '0.k:11'], { after: '0.k:6' }, { after: '0.k:11' }],
  [['replay', 'a.>', MESSAGE('a.b', '0.k:9')], { after: '0.k:9' }, { after: '0.k:11' }],
  [['replay', 'a.>', GAP('0.k:9', '0.m:4')], { after: '0.m:4' }, { after: '0.k:11' }],
  [['live', 'a.>', '0.m:5'], { after: '0.m:5' }, { after: '0.k:11' }],
  [GAP('0.k:11', '0.m:5'), { after: '0.m:5' }, { after: '0.m:5' }],
  [MESSAGE('a.c', '0.m:6'), { after: '0.m:6' }, { after: '0.m:5' }],
  [['gap', 'a.b', '0.m:5', '0.m:7'], { after: '0.m:6' }, { after: '0.m:5' }],
  [MESSAGE('a.b', '0.m:8'), { after: '0.m:8' }, { after: '0.m:8' }],
  [['ping', '0.m:9'], { after: '0.m:9' }, { after: '0.m:9' }],
];

test('after a cut at any place each filter asks for exactly what it misses', () => {
  for (let end = 0; end <= STORY.length; end++) {
    const session = createSession(() => 0);
    const tell = (input: Input) => session.handle(0, input);
    tell({ kind: 'begin' });
    tell({ kind: 'opened' });
    tell({ kind: 'subscribe', filter: 'a.>', options: { after: '0.k:3' } });
    tell({ kind: 'subscribe', filter: 'a.b', options: { last: 2 } });
    for (const [frame] of STORY.slice(0, end)) tell({ kind: 'frame', frame });
    tell({ kind: 'closed', code: 1006, reason: 'cut' });
    tell({ kind: 'tick' });
    const [, all, one] = STORY[end - 1] ?? STORY[0]!;
    const sent = tell({ kind: 'opened' }).map(
      (output) => output.kind === 'send' && JSON.parse(JSON.stringify(output.frame)),
    );
    assert.deepEqual(
      sent.map(([, , filter, options]) => [filter, options]),
      [
        ['a.>', all],
        ['a.b', one],
      ],
      `after ${end} frames`,
    );
  }
});
