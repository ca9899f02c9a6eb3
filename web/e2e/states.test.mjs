/**
 * Every page in every state: while it loads, empty, when what it asks fails, with data, and on a phone. The table below is
 * what there is; a page that is added belongs in it. ASAHI_BIN names the binary; ASAHI_PART=1/2 takes every second page
 * from the first on, 2/2 the others and the rest, so that two may run side by side.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, kPhone, launch, new_page, save_picture, settled } from './browser.mjs';
import { bucket_of, facts_known, push_memories, uploads_done, write_uploads } from './memories.mjs';

const kEvents = 6_000;
const kFault = 'the database fell over';
const [kPart, kParts] = (process.env.ASAHI_PART ?? '1/1').split('/').map(Number);
const kAnalytics = ['**/analytics/**'];

const region = (name) => (page) => page.getByRole('region', { name, exact: true }).first();
const rows = (name) => (page) => page.getByRole('region', { name, exact: true }).last().getByRole('row').nth(1);
const text = (words) => (page) => page.getByText(words).first();
const chart = (page) => page.locator('svg.recharts-surface').first();

/**
 * asks: what is held back or fails, as URL patterns; none: the page asks nothing of its own.
 * grey: how many parts wait at least; empty: words said where there is nothing; full: what must be seen with data.
 * noise: what the browser notes of an answer that belongs to it.
 * part: tells entries of one title apart.
 * broken: what is seen when the calls fail, where it is not a card with a Retry button.
 */
const kTable = [
  {
    path: '',
    title: 'Dashboard',
    asks: [...kAnalytics, '**/metrics', '**/health/providers'],
    grey: 4,
    empty: ['Welcome. Three steps to the first answer'],
    full: [text('Cost savings'), rows('Recent inferences'), region('Savings'), region('Health'), chart],
  },
  {
    path: 'inference',
    title: 'Inference',
    asks: ['**/models', '**/infer'],
    empty: ['No answer yet'],
    async broken(page) {
      await page.getByRole('radio', { name: 'Explicit' }).check();
      await page.getByText('The models could not be loaded.').waitFor();
      await page.getByRole('radio', { name: 'Autopilot' }).check();
      await page.getByLabel('Prompt', { exact: true }).fill('Name a river');
      await page.getByRole('button', { name: 'Send', exact: true }).click();
      await page.getByRole('alert').getByText(kFault).waitFor();
    },
    async use(page) {
      await page.getByLabel('Prompt', { exact: true }).fill('Name a mountain');
      await page.getByRole('button', { name: 'Send', exact: true }).click();
    },
    full: [text('This is the mock answer'), rows('Recent runs')],
  },
  { path: 'cache', title: 'Cache', asks: [...kAnalytics, '**/cache/stats', '**/cache/entries**'], grey: 3, empty: ['Nothing is stored yet', 'No hit in this time'], full: [text('What is the capital of France?'), region('Hits by tier'), chart] },
  { path: 'analytics', title: 'Analytics', asks: kAnalytics, grey: 4, empty: ['No request in this time', 'No answer in this time'], full: [rows(/^Model usage, /), region('Latency percentiles'), region('Quality against cost'), chart] },
  { path: 'analytics/cost', title: 'Cost', asks: kAnalytics, grey: 2, empty: ['No request in this time'], full: [rows('Cost by model'), region('Savings')] },
  { path: 'analytics/trends', title: 'Trends', asks: kAnalytics, grey: 1, empty: ['No request in this time'], full: [chart, region('Cost')] },
  { path: 'analytics/forecast', title: 'Forecast', asks: kAnalytics, grey: 1, empty: ['No day to learn from yet'], full: [chart, region('Cost per day')] },
  { path: 'requests', title: 'Requests', asks: kAnalytics, grey: 1, empty: ['No request in this time'], full: [rows('Requests')] },
  { path: 'live', title: 'Live', asks: kAnalytics, grey: 1, empty: ['Nothing has come in yet', 'Nothing in the last minute.'], full: [text('Live'), rows('Last requests'), region('Last minute')] },
  { path: 'models', title: 'Models', asks: ['**/models'], grey: 1, async use(page) { await page.getByLabel('Search models').fill('gpt'); }, full: [text(/^\d+ of \d+ models$/), rows('Models with prices and limits')] },
  { path: 'memory/search', title: 'Search', asks: ['**/memory/search'], grey: 2, empty: ['Nothing is remembered yet'], full: [(page) => page.getByRole('list', { name: 'Memories' }).getByRole('button', { name: /^Why this/ }).first(), (page) => page.getByRole('group', { name: 'System' })] },
  { path: 'memory/systems', title: 'Systems', asks: ['**/memory/systems**', '**/memory/storage/status', '**/memory/ingestion/status'], grey: 2, empty: ['No system remembers here yet'], full: [rows('Systems'), text('active'), text('in all tiers')] },
  {
    path: 'memory/tiers',
    title: 'Tiers',
    asks: ['**/memory/storage/status', '**/memory/storage/migrations**', '**/memory/storage/hot/backend'],
    grey: 4,
    empty: ['No tier has anything yet', 'No run yet', 'It has not moved.'],
    full: [text('healthy'), region('Backend of the hot tier'), (page) => page.getByRole('heading', { name: 'Hot', exact: true }), (page) => page.getByRole('button', { name: 'Dry run' }), rows('Runs')],
  },
  { path: 'memory/graph', title: 'Graph', asks: ['**/memory/graph/**'], grey: 4, empty: ['Nothing is known yet'], full: [(page) => page.getByRole('list', { name: 'Best known' }).getByRole('button').first(), text(/^each with the memory/)] },
  {
    path: 'memory/graph?id=system:team-notes&ever=true',
    title: 'Graph',
    part: 'an entity',
    asks: ['**/memory/graph/**'],
    grey: 1,
    empty: ['Nothing is known of system:team-notes'],
    noise: /status of 404.*\/graph\//,
    full: [rows('Neighbours'), (page) => page.getByRole('list', { name: 'Facts' }).getByRole('listitem').first(), region('Path')],
  },
  { path: 'memory/uploads', title: 'Uploads', asks: ['**/memory/uploads**', '**/memory/ingestion/status'], grey: 5, empty: ['Nothing was sent yet'], full: [rows('Uploads'), text('rejected')] },
  { path: 'governance/audit', title: 'Audit Log', asks: ['**/governance/audit**'], grey: 1, empty: ['Nothing is recorded yet'], full: [rows('Audit log'), text('chain whole')] },
  { path: 'governance/keys', title: 'API Keys', asks: ['**/governance/api-keys**', '**/providers/keys'], grey: 1, empty: ['No keys yet', 'No keys of your own'], full: [rows('API keys')] },
  { path: 'governance/policies', title: 'Policies', asks: ['**/org/policy', '**/governance/usage**'], grey: 2, empty: [/^None yet/], full: [text(/^Last changed/), region('Use')] },
  { path: 'alerts', title: 'Alerts', asks: ['**/alerts?**', '**/analytics/anomalies', '**/analytics/recommendations**'], grey: 3, empty: ['Nothing unusual', 'No alert is active', 'Too few requests to recommend anything'], full: [region('Anomalies'), (page) => page.getByRole('region', { name: 'Recommendations' }).getByRole('listitem').first()] },
  { path: 'settings', title: 'Settings', asks: ['**/settings', '**/alerts?**'], grey: 1, full: [region('This browser'), (page) => page.getByRole('button', { name: /^observability/ })] },
  { path: 'settings?tab=keys', title: 'Settings', asks: ['**/governance/api-keys**'], grey: 1, empty: ['No keys yet'], full: [rows('API keys')] },
  { path: 'settings?tab=cache', title: 'Settings', asks: ['**/settings', '**/cache/thresholds'], grey: 2, empty: ['Tier 2 is off'], full: [rows('Thresholds of tier 2')] },
  { path: 'settings?tab=routing', title: 'Settings', asks: ['**/settings', '**/routing/weights'], grey: 2, full: [(page) => page.getByLabel('Quality', { exact: true }), (page) => page.getByRole('button', { name: /^batching/ })] },
  {
    path: 'start',
    title: 'Getting started',
    asks: kAnalytics,
    empty: ['Listening; it appears here by itself.'],
    broken: (page) => page.getByText('The gateway cannot be heard; trying again.').waitFor(),
    mended: (page) => page.getByText('Listening; it appears here by itself.').waitFor(),
    full: [text('Send a request'), text('The mock vendor answers')],
  },
];

/** Pages of those who are not logged in; they have tests of their own at the end. */
const kPublic = ['login', 'welcome', 'signup'];

describe('every page in every state', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, page, empty, full, closed;
  const complaints = [];

  before(async () => {
    browser = await launch();
    empty = await start_gateway({ env: { ASAHI_MOCK: 'true' } });
    const folder = temp_folder('states');
    const demo = await run_asahi(['demo', '--events', `${kEvents}`], { folder, timeout_ms: 120_000 });
    assert.equal(demo.code, 0, demo.stderr);
    const bucket = temp_folder('bucket');
    write_uploads(bucket);
    full = await start_gateway({ folder, env: { ...bucket_of(bucket), ASAHI_MOCK: 'true', ASAHI_CACHE_TIER2_ENABLED: 'true', ASAHI_PROVIDERS_MAX_ATTEMPTS: '1' } });
    await push_memories(full);
    await uploads_done(full);
    await facts_known(full);
    const dry = await full.post('/memory/storage/migrations', { source_tier: 'hot', target_tier: 'warm', dry_run: true });
    assert.equal(dry.status, 200, dry.text);
    await full.infer('What is the capital of France?');
    await full.infer('What is the capital of France?');
    const event = await full.post('/governance/api-keys', { name: 'shop', scopes: ['infer'] });
    assert.equal(event.status, 201, event.text);
    await until(async () => (await full.get('/analytics/overview')).body.data.current.requests > kEvents / 2, { what: 'the month in the analytics', timeout_ms: 60_000 });
    closed = await start_gateway({ env: { ASAHI_MOCK: 'true', ASAHI_AUTH_API_KEY_REQUIRED: 'true' } });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function open(gateway, path, { patterns = [], answer, ...options } = {}) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light', ...options });
    for (const pattern of patterns) await page.context().route(`${gateway.url}${pattern.replace(/^\*\*/, '')}`, answer);
    await page.goto(`${gateway.url}/#/${path}`);
  }
  const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  const waiting = () => page.getByRole('main').getByRole('status', { name: /^Loading/ });
  const no_complaints = (allowed = /^$/) => assert.deepEqual(complaints.filter((text) => !allowed.test(text)), []);
  const sane = async () => assert.doesNotMatch(await page.getByRole('main').innerText(), /NaN|Infinity|undefined|\bnull\b|Invalid Date|\[object/);

  if (kPart === 1) test('the table has every page that the router knows', () => {
    const router = readFileSync(join(import.meta.dirname, '../dashboard/src/app/router.tsx'), 'utf8');
    const known = [...router.matchAll(/\bpath: '\/([^']*)'/g)].map(([, path]) => path);
    assert.ok(known.length > 20, 'the router is read');
    const held = new Set([...kTable.map(({ path }) => path.split('?')[0]), ...kPublic]);
    assert.deepEqual(known.filter((path) => !held.has(path)), []);
  });

  for (const { path, title, asks, part, grey, empty: said, noise, full: seen, use, broken, mended } of kTable.filter((_, index) => index % kParts === kPart - 1)) {
    describe(`${title}${part ? `, ${part}` : path.includes('=') ? `, tab ${path.split('=')[1]}` : ''}`, () => {
      test(grey ? 'shows grey shapes in its layout while it loads, then what there is' : 'shows what there is', async () => {
        let release;
        const held = new Promise((resolve) => (release = resolve));
        await open(full, path, { patterns: grey ? asks : [], answer: async (route) => (await held, route.fallback().catch(() => undefined)) });
        await heading(title);
        if (grey) {
          await until(async () => (await waiting().count()) >= grey, { what: `${grey} parts that load`, timeout_ms: kLimitMs });
          assert.equal(await page.getByRole('alert').count(), 0);
        }
        release();
        await settled(page, title);
        await use?.(page);
        for (const find of seen) await find(page).waitFor();
        await sane();
        assert.deepEqual(await faults_of(page), []);
        no_complaints();
      });

      if (said) {
        test('says why it is empty', async () => {
          await open(empty, path);
          await heading(title);
          await settled(page, title);
          for (const words of said) await page.getByText(words).first().waitFor();
          assert.ok((await page.getByRole('main').locator('a, button, input').count()) > 0, 'nothing to do from here');
          await sane();
          assert.deepEqual(await faults_of(page), []);
          no_complaints(noise);
        });
      }

      test('says what failed, and mends by itself or by Retry', async () => {
        let failing = true;
        const answer = (route) => (failing ? route.fulfill({ status: 500, json: { error: 'internal_server_error', message: kFault, details: {} } }) : route.fallback());
        await open(full, path, { patterns: asks, answer });
        await heading(title);
        const alerts = page.getByRole('main').getByRole('alert');
        if (broken) await broken(page);
        else {
          await alerts.first().waitFor();
          assert.match(await alerts.first().innerText(), new RegExp(kFault));
          // The first part that fails is not the last: each says it for itself.
          await until(async () => (await waiting().count()) === 0, { what: 'every part to give up', timeout_ms: kLimitMs });
        }
        assert.deepEqual(await faults_of(page), []);
        await save_picture(page, `failed-${path.replace(/\W+/g, '-') || 'overview'}`);
        failing = false;
        if (mended) await mended(page);
        else {
          const retry = page.getByRole('main').getByRole('button', { name: /^Retry/ });
          await until(
            async () => {
              // One mends others beside it: their buttons are gone then.
              for (const button of await retry.all()) await button.click({ timeout: 500 }).catch(() => undefined);
              // Further clicks would begin anew what these have asked for.
              for (let waited = 0; waited < 3_000 && (await alerts.count()) > 0; waited += 100) await page.waitForTimeout(100);
              return (await alerts.count()) === 0;
            },
            { what: 'every error to be gone', timeout_ms: 3 * kLimitMs },
          );
          await settled(page, title);
        }
        no_complaints(/status of 500/);
      });

      test('fits a phone of 320 px in the dark', async () => {
        await open(full, path, kPhone);
        await heading(title);
        await settled(page, title);
        await use?.(page);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 320, `${width} px wide`);
        for (const box of await page.locator('figure [data-chart]').all()) assert.ok((await box.boundingBox()).height >= 160, 'a chart is too low');
        assert.deepEqual(await faults_of(page), []);
        await save_picture(page, `phone-${path.replace(/\W+/g, '-') || 'overview'}`);
        no_complaints();
      });
    });
  }

  if (kPart === kParts) test('Inference says that it waits for the models, and for the answer, which can be given up', async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await open(full, 'inference', { patterns: ['/models', '/infer', '/infer?**'], answer: async (route) => (await held, route.fallback().catch(() => undefined)) });
    await page.getByRole('radio', { name: 'Explicit' }).check();
    assert.equal(await page.getByLabel('Model', { exact: true }).getByRole('option').first().innerText(), 'Loading…');
    await page.getByRole('radio', { name: 'Autopilot' }).check();
    await page.getByLabel('Prompt', { exact: true }).fill('Name a lake');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByText('Waiting for the first word').first().waitFor();
    assert.deepEqual(await faults_of(page), []);
    await page.getByRole('button', { name: /^(Stop|Cancel)/ }).click();
    await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
    release();
    no_complaints();
  });

  if (kPart === kParts) describe('a single request', () => {
    const panel = () => page.getByRole('dialog');
    const newest = async () => (await full.get('/analytics/recent-inferences?limit=1')).body.data[0].request_id;

    test('shows grey shapes while it loads', async () => {
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await open(full, `requests?id=${await newest()}`, { patterns: ['/analytics/events/**', '/traces/**'], answer: async (route) => (await held, route.fallback().catch(() => undefined)) });
      await panel().getByRole('status', { name: /^Loading/ }).first().waitFor();
      release();
      await panel().getByText('How it was answered').waitFor();
      no_complaints();
    });

    test('that there is not says so', async () => {
      await open(full, 'requests?id=req_000000000000');
      await panel().getByText('No such request').waitFor();
      assert.deepEqual(await faults_of(page), []);
      no_complaints(/status of 404/);
    });

    test('says what failed, with a way to try again', async () => {
      await open(full, `requests?id=${await newest()}`, {
        patterns: ['/analytics/events/**', '/traces/**'],
        answer: (route) => route.fulfill({ status: 500, json: { error: 'internal_server_error', message: kFault, details: {} } }),
      });
      await panel().getByRole('alert').getByText(kFault).first().waitFor();
      await panel().getByRole('button', { name: 'Retry' }).first().waitFor();
      assert.deepEqual(await faults_of(page), []);
      no_complaints(/status of 500/);
    });

    test('fits a phone of 320 px in the dark', async () => {
      await open(full, `requests?id=${await newest()}`, kPhone);
      await panel().getByText('How it was answered').waitFor();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
      assert.deepEqual(await faults_of(page), []);
      no_complaints();
    });
  });

  if (kPart === kParts) describe('the pages of strangers', () => {
    const kWelcome = 'The same answers, for a fraction of the price';
    const refused = /status of 401/;

    test('welcome: tells whether the engine is up, and stands while that is asked or fails', async () => {
      let release, away = true;
      const held = new Promise((resolve) => (release = resolve));
      await open(closed, 'welcome', { patterns: ['/health'], answer: async (route) => (await held, (away ? route.abort() : route.fallback()).catch(() => undefined)) });
      await heading(kWelcome);
      await page.getByText('Engine being asked').waitFor();
      release();
      await page.getByText('Engine away').waitFor();
      assert.deepEqual(await faults_of(page), []);
      away = false;
      await page.getByText(/^Engine healthy/).waitFor();
      no_complaints(/status of 401|net::ERR/);
    });

    test('login: waits for the logins that there are, and keeps its form where they cannot be asked', async () => {
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await open(closed, 'login', { patterns: ['/auth/providers'], answer: async (route) => (await held, route.fulfill({ status: 500, json: { error: 'internal_server_error', message: kFault } }).catch(() => undefined)) });
      await heading('Log in to Asahi');
      await page.getByRole('status', { name: 'Loading' }).waitFor();
      release();
      await page.getByLabel('Password', { exact: true }).waitFor();
      await until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, { what: 'the page to give up on them', timeout_ms: kLimitMs });
      await page.getByLabel('E-mail', { exact: true }).fill('ida@example.com');
      await page.getByLabel('Password', { exact: true }).fill('not a password');
      await page.context().route(`${closed.url}/auth/login`, (route) => route.abort());
      await page.getByRole('button', { name: 'Log in', exact: true }).click();
      await page.getByRole('alert').waitFor();
      assert.equal(await page.getByLabel('E-mail', { exact: true }).inputValue(), 'ida@example.com');
      assert.deepEqual(await faults_of(page), []);
      no_complaints(/status of (401|500)|net::ERR/);
    });

    test('sign-up: an empty form says what is missing, a refusal why, and a busy button cannot be pressed twice', async () => {
      await open(closed, 'signup');
      await heading('Found an organisation');
      await page.getByRole('button', { name: 'Sign up' }).click();
      for (const words of ['Name it.', 'An address with an @.', /^At least \d+ characters\.$/]) await page.getByText(words).first().waitFor();
      await page.getByLabel('Organisation').fill('Acme');
      await page.getByLabel('E-mail').fill('ida@example.com');
      await page.getByLabel('Password').fill('correct horse battery');
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await page.context().route(`${closed.url}/auth/signup`, async (route) => (await held, route.fulfill({ status: 403, json: { error: 'signup_disabled', message: 'this gateway takes no new organisations' } }).catch(() => undefined)));
      await page.getByRole('button', { name: 'Sign up' }).click();
      await page.locator('button[aria-busy=true]').waitFor();
      assert.ok(await page.getByRole('button', { name: 'Sign up' }).isDisabled());
      release();
      await page.getByRole('alert').getByText('this gateway takes no new organisations').waitFor();
      assert.deepEqual(await faults_of(page), []);
      no_complaints(/status of 40[13]/);
    });

    for (const [path, title] of [['welcome', kWelcome], ['login', 'Log in to Asahi'], ['signup', 'Found an organisation']]) {
      test(`${path} fits a phone of 320 px in the dark`, async () => {
        await open(closed, path, kPhone);
        await heading(title);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
        assert.deepEqual(await faults_of(page), []);
        await save_picture(page, `phone-${path}`);
        no_complaints(refused);
      });
    }
  });
});
