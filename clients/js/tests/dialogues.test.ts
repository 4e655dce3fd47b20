/** The dialogues that all clients share, and those of what only this one does. */

import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { check } from './support/dialogue.js';
import { repository } from './support/repository.js';

const FOLDER = repository('clients/dialogues');

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  test(file.replace(/-/g, ' ').replace('.txt', ''), () => check(readFileSync(`${FOLDER}/${file}`, 'utf8')));
}

test('a token is brought on connecting and replaced before it ends', () =>
  check(`
    - token first 600000
    = connect
    - open
    > ["connect",1,{"token":"first"}]
    < ["welcome",1,{"session":"1","heartbeat_ms":1000000,"limits":{}}]
    - wait 539999
    - wait 1
    = refresh
    - token second 20000
    > ["token",2,"second"]
    < ["ok",2,{}]
    - wait 16000
    = refresh
    - wait 4999
    - wait 1
    = refresh
    - token third 600000
    > ["token",3,"third"]
    - close 1006
    - token fourth 600000
    - wait 250
    = connect
    - open
    > ["connect",4,{"token":"fourth"}]
  `));

test('a broker that knows no tokens is followed without', () =>
  check(`
    - token first 600000
    = connect
    - subscribe a
    - open
    > ["connect",1,{"token":"first"}]
    > ["subscribe",2,"a"]
    < ["welcome",null,{"session":"1","heartbeat_ms":1000000,"limits":{}}]
    < ["error",1,"unsupported","tokens are not served"]
    < ["ok",2,{"cursor":"0.k:5"}]
    = a is live at 0.k:5
    - wait 540000
    = refresh
    - token second 600000
    > ["token",3,"second"]
    < ["error",3,"unsupported","tokens are not served"]
    - wait 600000
  `));

test('a token that does not hold is replaced once, then it is over', () =>
  check(`
    - token stale 600000
    = connect
    - subscribe a
    - open
    > ["connect",1,{"token":"stale"}]
    > ["subscribe",2,"a"]
    < ["error",1,"unauthorized","the token has ended"]
    = drop
    - token fresh 600000
    - wait 250
    = connect
    - open
    > ["connect",3,{"token":"fresh"}]
    > ["subscribe",4,"a"]
    < ["error",3,"unauthorized","the token is not signed by anyone known"]
    = close 1000
    = a is closed: 1008
  `));

test('a token that held once is replaced again when it does not hold any more', () =>
  check(`
    - token first 600000
    = connect
    - open
    > ["connect",1,{"token":"first"}]
    < ["error",1,"unauthorized","the token has ended"]
    = drop
    - token second 600000
    - wait 250
    = connect
    - open
    > ["connect",2,{"token":"second"}]
    < ["welcome",2,{"session":"1","heartbeat_ms":1000000,"limits":{}}]
    - close 1006
    - token third 600000
    - wait 500
    = connect
    - open
    > ["connect",3,{"token":"third"}]
    < ["error",3,"unauthorized","the token has ended"]
    = drop
  `));

test('a broker that is too busy to let it in is asked again', () =>
  check(`
    - token first 600000
    = connect
    - open
    > ["connect",1,{"token":"first"}]
    < ["error",1,"unavailable","keys can't be fetched",{"retry_after_ms":1000}]
    = drop
    - wait 250
    = connect
    - open
    > ["connect",2,{"token":"first"}]
    < ["error",2,"unavailable","keys can't be fetched",{"retry_after_ms":1000}]
    = drop
  `));

test('a connection that is not made in time is given up', () =>
  check(`
    - begin
    = connect
    - wait 19999
    - wait 1
    = drop
    - wait 250
    = connect
  `));

test('waits grow up to half a minute', () => {
  const growing = [250, 500, 1_000, 2_000, 4_000, 8_000].map((ms) => `- wait ${ms}\n= connect\n- close 1006\n`);
  check(`
    - close 1006
    = connect
    ${growing.join('')}
    - wait 14999
    - wait 1
    = connect
    - close 1006
    - wait 14999
    - wait 1
    = connect
  `);
});

test('who is told when to come back does so after any code, and a goodbye counts for its connection alone', () =>
  check(`
    - open
    = connect
    < ["goodbye",4003,"an operator ended the session",{"reconnect_after_ms":1000}]
    - close 4003
    - wait 999
    - wait 1
    = connect
    - open
    - close 1006
    - wait 499
    - wait 1
    = connect
  `));

test('after waking up a link is heard of soon or is dead', () =>
  check(`
    - open
    = connect
    < ["welcome",null,{"session":"1","heartbeat_ms":20000,"limits":{}}]
    - wait 10000
    - wake
    - wait 1000
    - wake
    - wait 13999
    - wait 1
    = drop
  `));

test('time that jumped over two heartbeats means that the link is dead', () =>
  check(`
    - open
    = connect
    < ["welcome",null,{"session":"1","heartbeat_ms":20000,"limits":{}}]
    - wait 3600000
    = drop
    - wait 250
    = connect
  `));

test('waking up makes a wait short, but not one that the broker asked for', () =>
  check(`
    - close 1006
    = connect
    - wait 250
    = connect
    - close 1006
    - wait 500
    = connect
    - close 1006
    - wait 1000
    = connect
    - close 1006
    - wait 2000
    = connect
    - close 1006
    - wait 4000
    = connect
    - close 1006
    - wake
    - wait 2499
    - wait 1
    = connect
    - open
    < ["goodbye",1012,"the node restarts",{"reconnect_after_ms":9000}]
    - close 1012
    - wake
    - wait 8999
    - wait 1
    = connect
  `));

test('of many publishes a bounded number is under way', () => {
  const all = Array.from({ length: 66 }, (_, at) => `> ["publish",${at + 1},"a",1,{"idempotency_key":"k"}]`);
  check(`
    - open
    = connect
    ${'- publish a 1 k\n'.repeat(66)}
    < ["welcome",null,{"session":"1","heartbeat_ms":1000,"limits":{}}]
    ${all.slice(0, 64).join('\n')}
    < ["ok",1,{"position":"0.k:1"}]
    = 1 published 0.k:1
    ${all[64]}
    < ["error",2,"overloaded","no room",{"retry_after_ms":1000}]
    = 2 failed: overloaded
    ${all[65]}
  `);
});

test('what is not held is not taken up again', () =>
  check(`
    - open
    = connect
    - subscribe a
    > ["subscribe",1,"a"]
    < ["ok",1,{"cursor":"0.k:5"}]
    = a is live at 0.k:5
    - release a
    - release b
  `));

test('joins and leaves belong to live filters', () =>
  check(`
    - open
    = connect
    - subscribe room.* presence=true
    > ["subscribe",1,"room.*",{"presence":true}]
    < ["ok",1,{"cursor":"0.k:5"}]
    = room.* is live at 0.k:5
    < ["join","room.1",{"session":"s-2","user":"ann"}]
    = room.* is told of a join at room.1
    < ["leave","hall",{"session":"s-2","user":"ann"}]
  `));
