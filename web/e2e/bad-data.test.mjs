/**
 * Data that nobody planned for: gaps, wrong clocks, 100,000 users, models that are gone, names in any script. The log of
 * events is written by hand and the gateway loads it as its own. Empty data and one point: see.test.mjs, states.test.mjs.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, kPhone, launch, new_page, save_picture, settled } from './browser.mjs';

const kHourMs = 3_600_000;
const kDayMs = 24 * kHourMs;
const kNow = Date.now();
const kToday = Math.floor(kNow / kDayMs) * kDayMs;
/** Sanitized programs load a tenth of them in the time that there is. */
const kUsers = Number(process.env.ASAHI_TIME_FACTOR ?? 1) > 1 ? 10_000 : 100_000;
const kPages = ['', 'analytics', 'analytics/cost', 'analytics/cost?group=user', 'analytics/trends', 'analytics/forecast', 'requests', 'live', 'cache', 'alerts', 'governance/policies'];

let made = 0;
const digits = (n, width) => n.toString(36).toUpperCase().padStart(width, '0');
/** A line of the log: an answer of gpt-4o-mini that cost a little, but for what `other` says. */
function line(at, other = {}) {
  made += 1;
  return JSON.stringify({
    event_id: `01${digits(Math.max(0, Math.floor(at / 1000)), 10)}${digits(made, 14)}`.slice(0, 26),
    timestamp: new Date(at).toISOString(),
    event_type: 'inference',
    request_id: `req_${made.toString(16).padStart(12, '0')}`,
    org_id: 'default',
    user_id: 'ada',
    api_key_prefix: 'ask_test',
    task_type: 'faq',
    model_used: 'gpt-4o-mini',
    provider: 'openai',
    routing_mode: 'autopilot',
    routing_reason: 'test',
    cache_hit: false,
    cache_tier: 0,
    input_tokens: 100,
    output_tokens: 50,
    answer_input_tokens: 100,
    answer_output_tokens: 50,
    latency_ms: 420,
    lookup_ms: 1,
    vendor_ms: 400,
    cost: 0.0021,
    baseline_cost: 0.01,
    quality_score: 4.2,
    path: '/infer',
    status: 200,
    error: '',
    ...other,
  });
}

describe('data that nobody planned for', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));
  afterEach(async () => {
    await page?.context().close();
    page = undefined;
    await gateway?.stop();
    gateway = undefined;
  });

  /** A gateway that has these events, each at its time. */
  async function holding(lines, env = {}) {
    const folder = temp_folder('bad-data');
    mkdirSync(join(folder, 'data', 'logs'), { recursive: true });
    writeFileSync(join(folder, 'data', 'logs', `events_${new Date(kNow - kDayMs).toISOString().slice(0, 10)}.jsonl`), `${lines.join('\n')}\n`);
    gateway = await start_gateway({ folder, env: { ASAHI_MOCK: 'true', ...env } });
    await until(async () => Number((await gateway.sqlite('SELECT count(*) AS n FROM inference_events'))[0]?.n) === lines.length, { what: `${lines.length} events in the database`, timeout_ms: 12 * kLimitMs });
  }
  async function browse(options = {}, prepare = undefined) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light', ...options });
    if (prepare) await page.addInitScript(...prepare);
  }
  async function go(path) {
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/${path}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await settled(page, path);
  }
  const api = async (path) => {
    const reply = await gateway.get(path);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    return reply.body.data;
  };
  const main = () => page.getByRole('main').innerText();
  const region = (name) => page.getByRole('region', { name, exact: true }).last();
  const cells = async (name) => (await region(name).getByRole('row').allInnerTexts()).slice(1).map((row) => row.split('\t').map((cell) => cell.trim()));
  const fits = async (pixels) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= pixels, `${page.url()} is ${width} px wide`);
  };
  /** Opens every page that shows events: none speaks nonsense or an error. */
  async function every_page_is_sane() {
    for (const path of kPages) {
      await go(path);
      assert.doesNotMatch(await main(), /NaN|Infinity|undefined|\bnull\b|Invalid Date|\[object/, path);
      assert.equal(await page.getByRole('main').getByRole('alert').filter({ hasText: /could not|fail/i }).count(), 0, path);
      await fits(kDesktop.width);
    }
  }
  const no_complaints = () => assert.deepEqual(complaints, []);

  test('gaps: a line breaks where nothing is known, a sum is 0 there, and the table says so', async () => {
    const lines = [];
    // Six days, ten without anything, a day alone, and three more with this one.
    for (const ago of [20, 19, 18, 17, 16, 15, 7, 2, 1]) for (let i = 0; i < 20; i += 1) lines.push(line(kToday - ago * kDayMs + i * kHourMs, { latency_ms: 300 + 10 * i }));
    lines.push(line(kNow - 60_000));
    await holding(lines);
    await browse();
    await go('analytics/trends?metric=latency&range=30d&step=day');
    const strokes = await page.locator('[data-chart] path.recharts-line-curve, [data-chart] path.recharts-area-curve').evaluateAll((paths) => paths.map((path) => path.getAttribute('d') ?? ''));
    assert.ok(Math.max(...strokes.map((path) => path.split('M').length - 1)) >= 3, `the line runs on over the gap: ${strokes}`);
    await page.locator('[data-chart] circle').first().waitFor();
    await save_picture(page, 'gaps');
    await page.getByRole('button', { name: /^Show as table/ }).click();
    const latencies = await cells('Mean latency');
    assert.equal(latencies.filter(([, value]) => /^[–—-]?$/.test(value)).length, 30 - 10, JSON.stringify(latencies));
    await go('analytics/trends?metric=requests&range=30d&step=day');
    await page.getByRole('button', { name: /^Show as table/ }).click();
    const counts = await cells('Requests');
    assert.equal(counts.length, 30);
    assert.equal(counts.filter(([, value]) => value === '0').length, 20);
    assert.equal(counts.reduce((sum, [, value]) => sum + Number(value), 0), lines.length);
    await every_page_is_sane();
    no_complaints();
  });

  test('clock skew: events of tomorrow, of long ago and of 1970 stand at their own time and break nothing', async () => {
    const lines = [line(0), line(kNow - 800 * kDayMs), line(kNow - kHourMs), line(kNow - kHourMs), line(kNow + 3 * kHourMs), line(kNow + 2 * kDayMs)];
    await holding(lines);
    await browse();
    await every_page_is_sane();
    // The last 30 days end now: what is yet to come is not in them, whoever counts.
    const { current } = await api('/analytics/overview?period=30d&granularity=day');
    await go('');
    assert.ok((await main()).includes(`Requests\n${current.requests}`) || (await main()).replace(/\s+/g, ' ').includes(`Requests ${current.requests}`), `${current.requests}`);
    await go('requests?range=24h');
    for (const row of await cells('Requests')) assert.doesNotMatch(row.join(' '), /(^|\s)[-−]\d|1970/);
    no_complaints();
  });

  for (const [hours, name] of [[-72, 'three days behind'], [72, 'three days ahead']]) {
    test(`clock skew: a browser whose clock is ${name} still shows every page`, async () => {
      await holding(Array.from({ length: 48 }, (_, i) => line(kNow - i * kHourMs)));
      await browse({}, [
        (shift) => {
          const real = Date.now.bind(Date);
          Date.now = () => real() + shift;
        },
        hours * kHourMs,
      ]);
      await every_page_is_sane();
      // Periods are counted by the gateway's clock.
      await go('?range=7d');
      assert.ok((await main()).includes('48'));
      no_complaints();
    });
  }

  test('100,000 users: the dearest are listed, the page stays small and quick, any of them is found', async () => {
    // A few cost much more than the rest, all of them within the last days.
    await holding(Array.from({ length: kUsers }, (_, i) => line(kNow - kHourMs - (i % 48) * kHourMs, { user_id: `user-${String(i).padStart(6, '0')}`, cost: i % 1_000 === 77 ? 5 + i / 1e6 : 0.0001 })));
    await browse();
    const begun = performance.now();
    await go('analytics/cost?group=user&range=7d');
    const took = performance.now() - begun;
    assert.ok(took < kLimitMs, `${took} ms`);
    const listed = await cells('Cost by user');
    assert.ok(listed.length <= 101, `${listed.length} rows`);
    assert.match(listed.find(([name]) => name !== 'Others')[0], /^user-\d{3}077$/);
    assert.equal(listed.filter(([name]) => name === 'Others').length, 1);
    const { total_requests } = await api('/analytics/cost-breakdown?period=7d&group_by=user&limit=100');
    assert.equal(total_requests, kUsers);
    await page.getByText(/^The 100 that cost most/).waitFor();
    const elements = await page.evaluate(() => document.querySelectorAll('*').length);
    assert.ok(elements < 5_000, `${elements} elements`);
    await save_picture(page, 'many-users');

    await go('analytics/trends?metric=cost&group=user&range=7d&step=day');
    const names = await page.locator('[data-chart] path.recharts-line-curve').count();
    assert.ok(names >= 1 && names <= 10, `${names} lines`);
    await go('requests?range=7d&user=user-004321');
    assert.equal((await cells('Requests')).length, 1);
    await every_page_is_sane();
    await browse(kPhone);
    await go('analytics/cost?group=user&range=7d');
    await fits(320);
    no_complaints();
  });

  test('models that are gone keep their past, are called by their names, and are found', async () => {
    const gone = { model_used: 'claude-of-yesteryear', provider: 'a-vendor-that-left' };
    await holding([...Array.from({ length: 30 }, (_, i) => line(kNow - (i + 1) * kHourMs, { ...gone, cost: 0.02 })), line(kNow - kHourMs), line(kNow - kHourMs, { model_used: '', provider: '', error: 'no_model_available', status: 503, cost: 0 })]);
    const saved = await gateway.call('PUT', '/org/policy', { allowed_models: [gone.model_used, 'gpt-4o-mini'] });
    assert.ok(saved.status < 300, saved.text);
    assert.ok(!(await gateway.get('/models')).body.models.some(({ name }) => name === gone.model_used));
    await browse();
    await every_page_is_sane();
    await go('analytics/cost?range=7d');
    assert.ok((await cells('Cost by model')).some(([name, requests]) => name === gone.model_used && requests === '30'));
    await go('requests?range=7d');
    await page.getByLabel('Model', { exact: true }).selectOption(gone.model_used);
    await until(async () => (await cells('Requests')).length === 30, { what: 'its requests', timeout_ms: kLimitMs });
    await region('Requests').getByRole('link').first().click();
    await page.getByRole('dialog').getByText('How it was answered').waitFor();
    assert.deepEqual(await faults_of(page), []);
    await go('models');
    await page.getByLabel('Search models').fill(gone.model_used);
    await page.getByText('No model matches').waitFor();
    await go('governance/policies');
    await page.getByText('(not listed)').waitFor();
    // Stages of invented requests are remembered by nobody.
    assert.ok(complaints.every((text) => text.includes('status of 404')), complaints.join('\n'));
  });

  test('names in any script, long ones and ones that look like markup are shown as they are', async () => {
    const names = ['Дмитрий Иванов', '山田太郎', 'محمد بن عبد الله', 'שרה', '👩‍🔬 Zoë', 'नमस्ते दुनिया', '<img src=x onerror=alert(1)>', '"; DROP TABLE users; --', '=HYPERLINK("http://example.com")', `${'Donaudampfschifffahrt'.repeat(12)}`, 'a\u202Eb\u0000c'];
    await holding(names.flatMap((user_id, i) => Array.from({ length: 3 }, () => line(kNow - (i + 1) * kHourMs, { user_id, task_type: i % 2 ? '翻訳' : 'faq', model_used: i % 3 ? 'gpt-4o-mini' : 'модель-α' }))));
    const keyed = await gateway.post('/governance/api-keys', { name: '鍵 مفتاح', scopes: ['infer'] });
    assert.equal(keyed.status, 201, keyed.text);
    await browse({}, [() => (window.alert = () => (document.title = 'alerted')), undefined]);
    await every_page_is_sane();
    assert.notEqual(await page.title(), 'alerted');
    await go('analytics/cost?group=user&range=7d');
    const shown = (await cells('Cost by user')).map(([name]) => name);
    for (const name of names.slice(0, 9)) assert.ok(shown.includes(name), `${name} is not in ${shown.join(' | ')}`);
    assert.deepEqual(await faults_of(page), []);
    await save_picture(page, 'names');
    await page.getByRole('link', { name: '山田太郎', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Requests' }).waitFor();
    await until(async () => (await cells('Requests')).length === 3, { what: 'requests of one user', timeout_ms: kLimitMs });
    await page.getByRole('button', { name: 'Export' }).click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('dialog').getByRole('button', { name: 'Export' }).click()]);
    const file = readFileSync(await download.path(), 'utf8');
    assert.equal(file.split('山田太郎').length - 1, 3);
    await go('requests?range=7d&q=' + encodeURIComponent('Дмитрий'));
    await until(async () => (await cells('Requests')).length === 3, { what: 'what was searched for', timeout_ms: kLimitMs });
    await go('governance/keys');
    await page.getByText('鍵 مفتاح').first().waitFor();
    await browse(kPhone);
    for (const path of ['analytics/cost?group=user&range=7d', 'requests?range=7d', 'analytics?range=7d', 'governance/keys']) {
      await go(path);
      await fits(320);
    }
    no_complaints();
  });
});
