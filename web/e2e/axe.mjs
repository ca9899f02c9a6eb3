/** What axe-core finds seriously wrong with a page; `faults_of` in accessible.mjs looks at what axe leaves to people. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kGrave = ['serious', 'critical'];

/** Each fault with the elements that have it; empty: none. */
export async function axe_faults_of(page) {
  // The pages let no foreign script in; the debugger does.
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return violations.filter(({ impact }) => kGrave.includes(impact)).map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 140)).join(' | ')}`);
}
