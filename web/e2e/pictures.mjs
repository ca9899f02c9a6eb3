/**
 * Takes the pictures of docs/images: `node e2e/pictures.mjs [folder] [--every]`. A gateway with the invented month of
 * `asahi demo`, one that wants a login, one that nobody asked anything yet. `--every`: each page also in the dark and on
 * a phone, to be looked through. ASAHI_BIN names the binary, ASAHI_PAGES newer pages than its own.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { kPhone, launch, new_page, settled } from './browser.mjs';
import { age_memories, bucket_of, facts_known, push_memories, uploads_done, write_uploads } from './memories.mjs';

const kEvery = process.argv.includes('--every');
const kFolder = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? fileURLToPath(new URL('../../docs/images', import.meta.url));
const kDesktop = { width: 1440, height: 1000 };
const kOperator = { 'x-admin-secret': 'operator-secret-for-pictures' };
const kAdmin = { email: 'ada@example.com', password: 'correct horse battery' };
const kLooks = [
  { suffix: '', options: { viewport: kDesktop, colorScheme: 'light' } },
  { suffix: '-dark', options: { viewport: kDesktop, colorScheme: 'dark' }, only: ['overview', 'analytics'] },
  { prefix: 'phone-', suffix: '', options: kPhone, only: ['overview', 'analytics', 'memory-search'] },
];

mkdirSync(kFolder, { recursive: true });
const browser = await launch();
const complaints = [];
let page;

async function open(gateway, options) {
  await page?.context().close();
  page = await new_page(browser, gateway.url, complaints, options);
}
async function go(gateway, path) {
  await page.goto('about:blank');
  await page.goto(`${gateway.url}/#/${path}`);
  // Behind an open panel the heading is there for the eye only.
  await page.locator('h1').first().waitFor({ timeout: 60_000 });
  await settled(page, path);
}
async function take(name) {
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(kFolder, `${name}.png`), animations: 'disabled' });
  console.log(name);
}

const folder = temp_folder('pictures');
const demo = await run_asahi(['demo', '--events', '20000'], { folder, timeout_ms: 180_000 });
if (demo.code !== 0) throw new Error(demo.stderr);
const bucket = temp_folder('bucket');
write_uploads(bucket);
const full = await start_gateway({ folder, env: { ...bucket_of(bucket), ASAHI_MOCK: 'true', ASAHI_CACHE_TIER2_ENABLED: 'true', ASAHI_ENCRYPTION_KEY: '5a'.repeat(32) } });
await until(async () => (await full.get('/analytics/overview')).body.data.current.requests > 10_000, { what: 'the month in the analytics', timeout_ms: 120_000 });
await push_memories(full);
await uploads_done(full);
await facts_known(full);
await age_memories(full);
await full.post('/providers/keys', { provider: 'openai', api_key: 'sk-own-of-acme-7788' });
for (const prompt of ['How do tides work?', 'What is the capital of France?', 'Name three rivers of Asia', 'Translate "good morning" to German', 'What does HTTP status 409 mean?']) {
  for (let i = 0; i < 3; i += 1) await full.infer(prompt);
}

const scroll_to = (text) => async () => void (await page.getByRole('heading', { name: text, exact: true }).first().scrollIntoViewIfNeeded());
const ask = (prompt) => async () => {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  const send = page.getByRole('button', { name: 'Send', exact: true });
  await send.click();
  await page.getByText('This is the mock answer').first().waitFor();
  await send.click();
  await page.getByText(/^(Exact|Semantic) hit$/).first().waitFor();
  await page.evaluate(() => window.scrollTo(0, 0));
};
async function compare() {
  await page.getByRole('radio', { name: 'Compare models' }).check();
  await page.getByLabel('Model 1').selectOption('gpt-4o-mini');
  await page.getByLabel('Model 2').selectOption('gpt-4o');
  await page.getByLabel('Prompt', { exact: true }).fill('Explain in two sentences why the sky is blue.');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByText('Cheapest').waitFor();
}
async function traffic() {
  // For a while, so that the last minute has something in it.
  for (let i = 0; i < 80; i += 1) {
    await Promise.all(Array.from({ length: 1 + ((i * i) % 7) }, (_, at) => full.infer(`Live ${(i * 7 + at) % 90}`)));
    await page.waitForTimeout(250);
  }
  await page.waitForTimeout(1_500);
}
async function newest_trace() {
  const { request_id } = await full.infer({ prompt: `Why is the sky blue at ${Date.now()}?`, bypass_cache: true });
  await until(async () => (await full.get(`/analytics/events/${request_id}`)).status === 200, { what: 'the event', timeout_ms: 20_000 });
  return `requests?id=${request_id}`;
}
/** Draws what is around the best known of its neighbours as well. */
async function around_them() {
  const { entities } = (await full.get('/memory/graph/entities?limit=40')).body;
  let drawn = 0;
  for (const { entity_id } of entities) {
    const node = page.locator('[data-node]').filter({ has: page.locator('title', { hasText: `(${entity_id})` }) });
    if (drawn === 3 || (await node.count()) === 0 || (await node.getAttribute('data-node')) === '0') continue;
    await node.focus();
    await page.keyboard.press('+');
    await page.waitForTimeout(500);
    drawn += 1;
  }
  await page.locator('[data-node="0"]').focus();
  await page.evaluate(() => (document.activeElement.blur(), window.scrollTo(0, 0)));
}
/** name of the picture, path of the page, what is done before it is taken. */
const kPages = [
  ['overview', ''],
  ['analytics', 'analytics'],
  ['analytics-cost', 'analytics/cost'],
  ['analytics-trends', 'analytics/trends?metric=cost&group=model&range=30d&step=day'],
  ['analytics-forecast', 'analytics/forecast'],
  ['requests', 'requests'],
  ['trace', newest_trace, () => page.getByRole('list', { name: 'Stages of the call' }).waitFor()],
  ['live', 'live', traffic],
  ['playground', 'inference', ask('Explain in two sentences why the sky is blue.')],
  ['playground-compare', 'inference', compare],
  ['models', 'models'],
  ['cache', 'cache'],
  ['memory-search', 'memory/search?q=how%20do%20we%20roll%20back%20payments', () => page.getByRole('button', { name: /^Why this/ }).first().click()],
  ['memory-systems', 'memory/systems'],
  ['memory-system', 'memory/systems?system=ci-agent', () => page.getByRole('list', { name: 'Last uploads' }).waitFor()],
  ['memory-tiers', 'memory/tiers', () => page.getByRole('region', { name: 'Runs' }).first().waitFor()],
  ['memory-graph', 'memory/graph?id=project%3Apayments&ever=true', around_them],
  ['memory-uploads', 'memory/uploads?system=ci-agent', () => page.getByRole('button', { name: /^Details of up-0039/ }).click()],
  ['governance-keys', 'governance/keys'],
  ['governance-audit', 'governance/audit', () => page.getByRole('button', { name: /^Details of/ }).first().click()],
  ['governance-policies', 'governance/policies'],
  ['alerts', 'alerts'],
  ['settings', 'settings'],
  ['settings-every', 'settings', async () => {
    await page.getByLabel('Search settings').fill('timeout');
    await scroll_to('Every setting')();
    await page.getByRole('region', { name: 'Every setting' }).evaluate((card) => window.scrollTo(0, card.getBoundingClientRect().top + window.scrollY - 72));
  }],
  ['settings-cache', 'settings?tab=cache'],
  ['settings-routing', 'settings?tab=routing'],
  ['start', 'start'],
];
for (const { prefix = '', suffix, options, only } of kLooks) {
  await open(full, options);
  for (const [name, path, prepare] of kPages) {
    if (!kEvery && only && !only.includes(name)) continue;
    await go(full, typeof path === 'function' ? await path() : path);
    await prepare?.();
    await take(`${prefix}${name}${suffix}`);
  }
}

const closed = await start_gateway({ env: { ASAHI_MOCK: 'true', ASAHI_AUTH_API_KEY_REQUIRED: 'true', ASAHI_ADMIN_SECRET: kOperator['x-admin-secret'] } });
await closed.post('/signup', { org_name: 'Acme', ...kAdmin }, kOperator);
const empty = await start_gateway({ env: { ASAHI_MOCK: 'true' } });
for (const { prefix = '', suffix, options, only } of kLooks) {
  if (!kEvery && only) continue;
  await open(closed, options);
  for (const path of ['welcome', 'login', 'signup']) {
    await go(closed, path);
    await take(`${prefix}${path}${suffix}`);
  }
  await open(empty, options);
  await go(empty, '');
  await take(`${prefix}first-steps${suffix}`);
}
await browser.close();
await stop_everything();
