/**
 * What the overview makes a browser load: fails above 300 KiB of JavaScript, gzipped. Follows the imports from index.html,
 * and from the files that the overview loads behind its first picture: the charts of it. `node bundle-size.mjs [folder]`
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const kBudget = 300 * 1024;
/** Chunks that the overview imports when it has something to draw. */
const kLater = [/^plot-time-/, /^plot-share-/];

const folder = process.argv[2] ?? fileURLToPath(new URL('dashboard/dist', import.meta.url));
const assets = join(folder, 'assets');
const entry = readFileSync(join(folder, 'index.html'), 'utf8').match(/src="\.\/assets\/([^"]+\.js)"/)?.[1];
if (!entry) throw new Error(`${folder}/index.html names no script`);
const later = kLater.map((pattern) => {
  const file = readdirSync(assets).find((name) => pattern.test(name) && name.endsWith('.js'));
  if (!file) throw new Error(`no file matches ${pattern}: is it loaded by another name now?`);
  return file;
});

const sizes = new Map();
const wanted = [entry, ...later];
while (wanted.length > 0) {
  const file = wanted.pop();
  if (sizes.has(file)) continue;
  const code = readFileSync(join(assets, file));
  sizes.set(file, gzipSync(code, { level: 9 }).length);
  for (const [, name] of code.toString().matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) wanted.push(name);
}
const sum = [...sizes.values()].reduce((all, size) => all + size, 0);
for (const [file, size] of [...sizes].sort((a, b) => b[1] - a[1])) console.log(`${String(size).padStart(8)}  ${file}`);
console.log(`${String(sum).padStart(8)}  of ${kBudget} bytes, gzipped JavaScript of the overview`);
if (sum > kBudget) {
  console.error(`The overview loads ${sum - kBudget} bytes too many: load a page or a library later.`);
  process.exit(1);
}
