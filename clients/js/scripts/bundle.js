// Writes dist/fanfare.min.js, the whole client as one module for pages without a bundler, and what npm shows beside it.
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

await build({
  entryPoints: [at('dist/index.js')],
  outfile: at('dist/fanfare.min.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  logLevel: 'warning',
});
copyFileSync(at('../../CHANGELOG.md'), at('CHANGELOG.md'));
