/** What is published: how large it is, and what is in it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { repository } from './support/repository.js';

/** The most bytes of the core, minified and gzipped. */
const CORE_MAX = 6000;

const at = (path: string) => repository(`clients/js/${path}`);
const metadata = JSON.parse(readFileSync(at('package.json'), 'utf8'));

/** A page's bundle, without what the core loads only when it is needed. */
async function bundled(code: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: at('dist') },
    external: ['./sse.js'],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]!.contents;
}

test(`the core is at most ${CORE_MAX} bytes, minified and gzipped`, async () => {
  const { length } = gzipSync(await bundled(`export * from './index.js'`), { level: 9 });
  assert.ok(length <= CORE_MAX, `the core has ${length} bytes`);
});

test('server-sent events are loaded only when they are needed', async () => {
  const core = Buffer.from(await bundled(`export * from './index.js'`)).toString();
  assert.ok(core.includes('import("./sse.js")'));
});

test('nothing is kept of what is not used', async () => {
  assert.equal(
    Buffer.from(await bundled(`import { connect } from './index.js'`))
      .toString()
      .trim(),
    '',
  );
});

test('the package has what its exports name, its types, a licence, and no source or test', () => {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: at(''),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const files: string[] = packed.files.map(({ path }: { path: string }) => path);
  for (const file of ['LICENSE', 'README.md', 'BROWSER.md', 'CHANGELOG.md', 'package.json', 'dist/fanfare.min.js'])
    assert.ok(files.includes(file), file);
  const targets = Object.values(metadata.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target as object),
  );
  for (const target of targets) assert.ok(files.includes(target.replace('./', '')), target);
  const others = files.filter(
    (file) => !/^(dist\/.*\.(js|d\.ts)|LICENSE|README\.md|BROWSER\.md|CHANGELOG\.md|package\.json)$/.test(file),
  );
  assert.deepEqual(others, []);
});

test('its version is the workspace’s, its licence the repository’s, and it depends on nothing', () => {
  const workspace = readFileSync(repository('Cargo.toml'), 'utf8');
  assert.equal(metadata.version, /^version = "(.*)"$/m.exec(workspace)![1]);
  assert.equal(readFileSync(at('LICENSE'), 'utf8'), readFileSync(repository('LICENSE'), 'utf8'));
  assert.equal(metadata.license, 'Apache-2.0');
  assert.deepEqual([metadata.dependencies, metadata.sideEffects], [undefined, false]);
  for (const version of Object.values(metadata.devDependencies)) assert.match(String(version), /^\d/);
});

test('each way into the package can be imported under its name', async () => {
  for (const [name, exported] of [
    ['fanfare-client', 'connect'],
    ['fanfare-client/msgpack', 'msgpack'],
    ['fanfare-client/shared', 'connectShared'],
    ['fanfare-client/session', 'createSession'],
  ] as const) {
    const module = (await import(import.meta.resolve(name))) as Record<string, unknown>;
    assert.equal(typeof module[exported], exported === 'msgpack' ? 'object' : 'function', name);
  }
  const min = (await import(at('dist/fanfare.min.js'))) as Record<string, unknown>;
  assert.equal(typeof min['connect'], 'function');
});
