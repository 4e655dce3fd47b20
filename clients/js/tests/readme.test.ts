/** The README's pieces, as strict TypeScript has them. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { repository } from './support/repository.js';

const FENCED = /^```(?:js|ts)\n(.*?)^```$/gms;
const FOLDER = repository('clients/js/build/readme');

/** What a piece takes for given, unless it brings its own. */
const GIVEN = `
declare function show(...what: unknown[]): void;
declare function reload(): void;
`;
const CLIENT = `declare const client: import('fanfare-client').Client;\n`;

test('each piece of the README is strict TypeScript against what is published', () => {
  const pieces = [...readFileSync(repository('clients/js/README.md'), 'utf8').matchAll(FENCED)].map(([, text]) => text!);
  assert.equal(pieces.length, 4);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const files = pieces.map((piece, index) => {
    const file = `${FOLDER}/piece-${index + 1}.ts`;
    writeFileSync(file, `export {};\n${GIVEN}${piece.includes('const client =') ? '' : CLIENT}${piece}`);
    return file;
  });
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022,dom'];
  const tsc = repository('clients/js/node_modules/.bin/tsc');
  try {
    execFileSync(tsc, ['--ignoreConfig', '--types', '', ...options, ...files], { encoding: 'utf8' });
  } catch (error) {
    assert.fail((error as { stdout: string }).stdout);
  }
});
