/** The pages that show what happens: a month of traffic, single requests, traces, live; ASAHI_BIN names the binary. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page } from './browser.mjs';

const kPages = {
  '': 'Dashboard',
  analytics: 'Analytics',
  'analytics/cost': 'Cost',
  'analytics/trends': 'Trends',
  'analytics/forecast': 'Forecast',
  requests: 'Requests',
  live: 'Live',
  cache: 'Cache',
  models: 'Models',
  inference: 'Inference',
};
const kBudget = 300 * 1024;
const kEvents = 6_000;
const kMock = { ASAHI_MOCK: 'true', ASAHI_PROVIDERS_MAX_ATTEMPTS: '1' };
const kSemantic = { ASAHI_CACHE_TIER2_ENABLED: 'true', ASAHI_CACHE_TIER2_AUDIT_SHARE: '0', ASAHI_CACHE_TIER2_PROMOTION_THRESHOLD: '1' };

describe('see', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  /** Whatever the pages complained about; each test must leave it empty. */
  const complaints = [];

  before(async () => {
    gateway = await start_gateway({ env: kMock });
    browser = await launch();
    await open_page({ viewport: kDesktop, colorScheme: 'light' });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function open_page(options) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, options);
  }

  async function settled(what) {
    await until(async () => (await page.getByRole('status', { name: /^Loading/ }).count()) === 0, { what: `${what} to have its data`, timeout_ms: 2 * kLimitMs });
    // The charts come in a file of their own.
    await until(async () => page.evaluate(() => [...document.querySelectorAll('[data-chart]')].every((box) => box.querySelector('svg.recharts-surface'))), {
      what: `the charts of ${what}`,
      timeout_ms: 2 * kLimitMs,
    });
  }

  /** Opens a page afresh by its address and waits for its heading, its data and its charts. */
  async function go(path, search = '') {
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/${path}${search}`);
    // Behind an open panel the heading is there for the eye only.
    await page.locator('h1', { hasText: kPages[path] }).waitFor();
    await settled(kPages[path]);
  }

  /** A gateway with a month of invented traffic, in place of the one before. */
  async function demo(env = {}) {
    await page.goto('about:blank');
    await gateway?.stop();
    const folder = temp_folder('see');
    const { code, stderr } = await run_asahi(['demo', '--events', `${kEvents}`], { folder, timeout_ms: 120_000 });
    assert.equal(code, 0, stderr);
    gateway = await start_gateway({ folder, env: { ...kMock, ...env } });
    await until(async () => (await gateway.get('/analytics/overview')).body.data.current.requests > kEvents / 2, { what: 'the month in the analytics', timeout_ms: 60_000 });
    await open_page({ viewport: kDesktop, colorScheme: 'light' });
  }

  const main = () => page.getByRole('main').innerText();
  const card = (name) => page.getByRole('region', { name, exact: true }).first();
  const no_complaints = () => assert.deepEqual(complaints, []);
  const api = async (path) => {
    const reply = await gateway.get(path);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    return reply.body;
  };
  const dollars = (amount) => {
    const size = Math.abs(amount);
    if (size === 0) return '$0';
    const decimals = size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
    return `$${size.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })}`;
  };
  const whole = (value) => value.toLocaleString('en-US');
  const close = (a, b, what, by = 2e-6) => assert.ok(Math.abs(a - b) <= by * Math.max(1, Math.abs(b)), `${what}: ${a} is not ${b}`);

  test('before the first request each page says why it is empty and what to do', async () => {
    const said = {
      analytics: 'No request in this time',
      'analytics/cost': 'No request in this time',
      'analytics/trends': 'No request in this time',
      'analytics/forecast': 'No day to learn from yet',
      requests: 'No request in this time',
      live: 'Nothing has come in yet',
      cache: 'Nothing is stored yet',
    };
    await go('');
    await page.getByLabel('curl example').waitFor();
    for (const [path, text] of Object.entries(said)) {
      await go(path);
      await page.getByText(text).first().waitFor();
      assert.ok((await page.getByRole('main').getByRole('link').count()) + (await page.getByRole('main').getByRole('button').count()) > 0, path);
    }
    no_complaints();
  });

  test('one request is one point: it is drawn, and nothing divides by zero', async () => {
    await gateway.infer('What is the capital of France?');
    await until(async () => (await api('/analytics/overview')).data.current.requests === 1, { what: 'the request in the analytics', timeout_ms: kLimitMs });
    for (const path of ['', 'analytics', 'analytics/cost', 'analytics/trends', 'analytics/forecast', 'requests', 'cache']) {
      await go(path);
      assert.doesNotMatch(await main(), /NaN|Infinity|undefined|Invalid Date/, path);
    }
    await go('analytics/trends', '?metric=latency');
    await page.locator('[data-chart] circle').first().waitFor();
    no_complaints();
  });

  test('a page shows grey shapes in its layout until its data come', async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route('**/analytics/**', async (route) => (await held, route.continue()));
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/analytics`);
    await page.getByRole('heading', { level: 1, name: 'Analytics' }).waitFor();
    assert.ok((await page.getByRole('status', { name: /^Loading/ }).count()) >= 4);
    for (const name of ['Quality against cost', 'Latency percentiles', 'Model usage']) await card(name).waitFor();
    const before = await card('Model usage').boundingBox();
    release();
    await settled('Analytics');
    const after_ = await card('Model usage').boundingBox();
    assert.ok(Math.abs(before.x - after_.x) < 1 && before.width === after_.width, 'the layout jumps');
    await page.unroute('**/analytics/**');
    no_complaints();
  });

  test('a month: the numbers on the screen are those of the API and those of the database', async () => {
    await demo();
    const rows = async (sql) => gateway.sqlite(sql);
    const in_window = (window) => `timestamp >= '${window.from.slice(0, 19)}' AND timestamp < '${window.to.slice(0, 19)}'`;

    await go('', '?range=30d');
    const overview = (await api('/analytics/overview?period=30d&granularity=day')).data;
    const [all] = await rows(`SELECT count(*) AS n, sum(cost) AS cost, sum(baseline_cost) AS baseline FROM inference_events WHERE ${in_window(overview)}`);
    assert.equal(overview.current.requests, Number(all.n));
    close(overview.current.total_cost, Number(all.cost), 'cost', 1e-5);
    close(overview.current.baseline_cost, Number(all.baseline), 'baseline', 1e-5);
    let text = await main();
    for (const figure of [dollars(overview.current.total_cost), dollars(overview.current.baseline_cost), `${whole(overview.current.requests)}`]) {
      assert.ok(text.includes(figure), `${figure} is not in ${text.slice(0, 800)}`);
    }
    const savings = (await api('/analytics/savings?period=30d')).data;
    const falls = await card('Savings').innerText();
    for (const { amount } of savings.waterfall) assert.ok(falls.includes(dollars(amount)), `${dollars(amount)} is not in ${falls}`);

    await go('analytics/cost', '?range=30d&group=model');
    const cost = (await api('/analytics/cost-breakdown?period=30d&group_by=model')).data;
    const by_model = await rows(`SELECT model_selected AS model, count(*) AS n, sum(cost) AS cost FROM inference_events WHERE ${in_window(cost)} GROUP BY 1`);
    const table = await page.getByRole('region', { name: 'Cost by model' }).getByRole('row').allInnerTexts();
    assert.equal(cost.items.length, by_model.length);
    for (const { model, n, cost: paid } of by_model) {
      const item = cost.items.find(({ key }) => key === (model || 'unknown'));
      assert.equal(item?.requests, Number(n), model);
      close(item.cost, Number(paid), model, 1e-5);
      const row = table.find((line) => line.startsWith(model ? `${model}\t` : 'None'));
      assert.ok(row?.includes(whole(item.requests)) && row.includes(dollars(item.cost)), `${model}: ${row}`);
    }

    await go('analytics', '?range=30d');
    const latency = (await api('/analytics/latency-percentiles?period=30d')).data;
    assert.ok((await card('Latency percentiles').innerText()).includes(whole(latency.count)));
    const usage = (await api('/analytics/models?period=30d')).data;
    const shown = await page.getByRole('region', { name: /^Model usage, / }).innerText();
    for (const { model, requests, total_cost } of usage) assert.ok(shown.includes(whole(requests)) && shown.includes(dollars(total_cost)), model);

    await go('cache', '?range=30d');
    const cache = (await api('/analytics/cache?period=30d')).data;
    const [{ hits }] = await rows(`SELECT count(*) AS hits FROM inference_events WHERE cache_tier > 0 AND ${in_window(cache)}`);
    assert.equal(cache.hits, Number(hits));
    assert.ok((await main()).includes(`${whole(cache.hits)} of ${whole(cache.lookups)} look-ups`));
    no_complaints();
  });

  test('every chart can be read as a table', async () => {
    for (const path of ['', 'analytics', 'analytics/trends', 'analytics/forecast', 'cache']) {
      await go(path);
      const switches = page.getByRole('button', { name: /^Show as table/ });
      const charts = await switches.count();
      assert.ok(charts >= 1, path);
      for (let left = charts; left > 0; left -= 1) await switches.first().click();
      assert.equal(await page.getByRole('button', { name: /^Show as chart/ }).count(), charts);
      assert.ok((await page.getByRole('figure').first().getByRole('row').count()) > 1, path);
    }
    await go('analytics/trends', '?metric=cost&range=30d');
    const trend = await page.locator('[data-chart]').boundingBox();
    assert.ok(trend.height >= 160);
    no_complaints();
  });

  test('range, group, metric and interval stand in the address', async () => {
    await go('analytics/cost');
    await page.getByRole('radio', { name: 'Task', exact: true }).check();
    await page.getByRole('radio', { name: '7 d', exact: true }).check();
    await card('Cost by task').waitFor();
    assert.match(page.url(), /range=7d/);
    assert.match(page.url(), /group=task_type/);
    await page.reload();
    await card('Cost by task').waitFor();
    await page.getByRole('button', { name: 'Custom' }).click();
    await page.getByLabel('First day').fill('2099-01-01');
    await page.getByText(/^The first day must not be after the last one/).waitFor();
    assert.ok(await page.getByRole('dialog').getByRole('button', { name: 'Show' }).isDisabled());
    await page.getByLabel('First day').fill('2026-01-05');
    await page.getByRole('dialog').getByRole('button', { name: 'Show' }).click();
    await until(() => page.url().includes('range=custom'), { what: 'the custom range in the address', timeout_ms: kLimitMs });
    await go('analytics/trends', '?metric=nonsense&range=ever&step=fortnight&group=shoe');
    assert.equal(await page.getByLabel('Metric').inputValue(), 'cost');
    await page.getByLabel('Metric').selectOption('latency_p95');
    await page.getByLabel('Told apart by').selectOption('model');
    await page.getByLabel('Interval').selectOption('day');
    await card('Latency p95 by model').waitFor();
    no_complaints();
  });

  test('the forecast answers whether the budget holds', async () => {
    await go('analytics/forecast', '?budget=0');
    const { data } = await api('/analytics/forecast?horizon_days=30&history_days=60');
    await page.getByText(dollars(data.predicted_cost), { exact: true }).first().waitFor();
    await page.getByLabel('Monthly budget').fill('0.5');
    await page.getByTestId('risk').getByText('The budget will be overrun').waitFor();
    await page.getByLabel('Monthly budget').fill('1000000');
    await page.getByTestId('risk').getByText('Within the budget').waitFor();
    await page.getByLabel('Monthly budget').fill('a lot');
    await page.getByText('A number of US dollars from 0 on.').waitFor();
    no_complaints();
  });

  test('requests are searched and filtered, page after page, and exported', async () => {
    await go('requests', '?range=90d');
    const list = page.getByRole('region', { name: 'Requests', exact: true }).last();
    const rows = list.getByRole('row');
    assert.equal(await rows.count(), 51);
    await page.getByRole('button', { name: 'Load more' }).click();
    await until(async () => (await rows.count()) === 101, { what: 'a second page', timeout_ms: kLimitMs });

    const model = (await api('/analytics/models?period=30d')).data[0].model;
    await page.getByLabel('Model', { exact: true }).selectOption(model);
    await until(async () => (await rows.allInnerTexts()).slice(1).every((row) => row.includes(model)), { what: 'only that model', timeout_ms: kLimitMs });
    await page.getByLabel('Search requests').fill('no such words anywhere');
    await page.getByText('No request matches').waitFor();
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await until(async () => (await rows.count()) >= 51, { what: 'all requests', timeout_ms: kLimitMs });

    const id = (await api('/analytics/recent-inferences?limit=1')).data[0].request_id;
    await page.getByLabel('Search requests').fill(id);
    await until(async () => (await rows.count()) === 2, { what: 'the one request', timeout_ms: kLimitMs });
    await page.getByRole('button', { name: 'Export' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('dialog').getByRole('button', { name: 'Export' }).click();
    const file = readFileSync(await (await download).path(), 'utf8').trim().split('\r\n');
    assert.equal(file.length, 2);
    assert.ok(file[1].includes(id));

    // Without words the gateway streams the file, however long.
    await page.getByLabel('Search requests').fill('');
    await until(async () => (await rows.count()) > 2, { what: 'all requests', timeout_ms: kLimitMs });
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByText('NDJSON').click();
    const [longer] = await Promise.all([page.waitForEvent('download'), page.getByRole('dialog').getByRole('button', { name: 'Export' }).click()]);
    const lines = readFileSync(await longer.path(), 'utf8').trim().split('\n');
    assert.ok(lines.length > kEvents / 2, `${lines.length} lines`);
    assert.ok(lines.every((line) => JSON.parse(line).request_id));
    await page.getByText(`Saved ${whole(lines.length)} requests`).waitFor();
    no_complaints();
  });

  test('a request is opened by keyboard, shows its stages, and Esc closes it', async () => {
    const { request_id } = await gateway.infer('How do tides work?');
    await until(async () => (await gateway.get(`/analytics/events/${request_id}`)).status === 200, { what: 'the event', timeout_ms: kLimitMs });
    await go('requests', `?q=${request_id}`);
    await page.getByRole('region', { name: 'Requests', exact: true }).last().getByRole('link').first().focus();
    await page.keyboard.press('Enter');
    const panel = page.getByRole('dialog');
    await panel.getByText('Where the time went').waitFor();
    const stages = panel.getByRole('list', { name: 'Stages of the call' });
    await stages.waitFor();
    const { root } = await api(`/traces/${request_id}`);
    assert.equal(await stages.getByRole('button').count(), count_spans(root));
    await stages.getByRole('button').first().click();
    await panel.getByText('asahi.request_id').waitFor();
    assert.deepEqual(await faults_of(page), []);
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    assert.doesNotMatch(page.url(), /id=req_/);
    await go('requests', '?id=req_000000000000');
    await page.getByText('No such request').waitFor();
    assert.ok(complaints.every((text) => text.includes('404')), complaints.join('\n'));
  });

  test('a failed request says so, and one whose stages are forgotten too', async () => {
    await gateway.post('/infer', { prompt: 'Name a lake [[mock:500]]', model: 'gpt-4o-mini', routing_mode: 'explicit' });
    const failed = await until(async () => (await api('/analytics/requests?error=true&limit=1')).data[0], { what: 'a failure', timeout_ms: kLimitMs });
    await go('requests', `?error=true&id=${failed.request_id}`);
    await page.getByRole('dialog').getByRole('alert').waitFor();
    const old = (await api('/analytics/requests?limit=200')).data.at(-1);
    await go('requests', `?id=${old.request_id}`);
    await page.getByText('Its stages are not remembered').waitFor();
    assert.ok(complaints.every((text) => text.includes('404')), complaints.join('\n'));
  });

  test('two models answer the same prompt side by side', async () => {
    await go('inference');
    await page.getByRole('radio', { name: 'Compare models' }).check();
    await page.getByLabel('Model 1').selectOption('gpt-4o-mini');
    await page.getByLabel('Model 2').selectOption('gpt-4o');
    await page.getByLabel('Prompt', { exact: true }).fill('Name a river');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    for (const model of ['gpt-4o-mini', 'gpt-4o']) await page.getByText(`This is the mock answer of ${model}`).first().waitFor();
    await page.getByText('Cheapest').waitFor();
    await page.getByLabel('Model 2').selectOption('gpt-4o-mini');
    await page.getByText('Choose different models.').waitFor();
    assert.deepEqual(await faults_of(page), []);
    no_complaints();
  });

  test('options of the playground are sent only once they are set', async () => {
    await go('inference');
    await page.getByRole('radio', { name: 'One answer' }).check();
    await page.getByText('System prompt and options').click();
    await page.getByLabel('Least quality').fill('4.5');
    await page.getByRole('switch', { name: 'Semantic cache' }).click();
    await page.getByLabel('Prompt', { exact: true }).fill('Name a sea');
    const sent = page.waitForRequest((request) => request.url().endsWith('/infer'));
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    const body = (await sent).postDataJSON();
    assert.equal(body.quality_threshold, 4.5);
    assert.equal(body.semantic_cache, false);
    for (const absent of ['temperature', 'latency_budget_ms', 'provider_api_key']) assert.ok(!(absent in body), absent);
    await page.getByRole('button', { name: 'New request' }).click();
    assert.equal(await page.getByLabel('Prompt', { exact: true }).inputValue(), '');
    no_complaints();
  });

  test('the live view counts what comes in, and rests when it is told to', async () => {
    await go('live');
    await page.getByText('Live', { exact: true }).last().waitFor();
    const seen = async () => Number((/([\d,]+) since the page was opened/.exec(await page.getByTestId('counters').innerText()) ?? [])[1]?.replaceAll(',', '') ?? -1);
    await until(async () => (await seen()) >= 0, { what: 'the counters', timeout_ms: kLimitMs });
    const before = await seen();
    const kSent = 400;
    for (let sent = 0; sent < kSent; sent += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => gateway.infer(`Live question ${(sent + i) % 50}`)));
    await until(async () => (await seen()) === before + kSent, { what: `${kSent} more requests`, timeout_ms: kLimitMs });
    await page.getByRole('region', { name: 'Last requests' }).last().getByRole('row').nth(10).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await gateway.infer('While it rests');
    await page.waitForTimeout(800);
    assert.equal(await seen(), before + kSent);
    await page.getByRole('button', { name: 'Resume' }).click();
    await until(async () => (await seen()) === before + kSent + 1, { what: 'what came meanwhile', timeout_ms: kLimitMs });
    no_complaints();
  });

  test('the overview loads at most 300 KiB of JavaScript, gzipped', async () => {
    const replies = [];
    // What the page before had asked for ahead is no part of this one: its body is gone.
    const size_of = (response) => response.body().then((body) => gzipSync(body).length, () => 0);
    const note = (response) => response.url().endsWith('.js') && replies.push({ url: response.url(), size: size_of(response) });
    page.on('response', note);
    await go('');
    page.off('response', note);
    // What is fetched ahead for other pages comes later, when the browser has nothing to do.
    const ahead = await page.evaluate(() => {
      const begin = performance.getEntriesByName('asahi:preload')[0]?.startTime ?? Infinity;
      return performance.getEntriesByType('resource').filter(({ startTime }) => startTime >= begin).map(({ name }) => name);
    });
    const scripts = replies.filter(({ url }) => !ahead.includes(url));
    const sizes = (await Promise.all(scripts.map(({ size }) => size))).filter(Boolean);
    const sum = sizes.reduce((all, size) => all + size, 0);
    assert.ok(sizes.length >= 3 && sum <= kBudget, `${sum} bytes in ${sizes.length} files`);
    no_complaints();
  });

  test('a gateway that goes away is said on every card, and its return mends them', async () => {
    await open_page({ viewport: kDesktop, colorScheme: 'light' });
    await go('requests'); // the page's program is loaded when it is first opened
    await page.getByRole('heading', { level: 1, name: 'Requests' }).waitFor();
    await go('analytics');
    const { port, folder, env } = gateway;
    await gateway.stop();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('Not refreshed').first().waitFor();
    assert.ok((await page.getByRole('region', { name: /^Model usage, / }).getByRole('row').count()) > 1, 'what was known stays');
    await page.getByRole('radio', { name: '7 d', exact: true }).check();
    await until(async () => (await page.getByRole('alert').count()) >= 3, { what: 'an error on each card', timeout_ms: 2 * kLimitMs });
    await page.getByRole('link', { name: 'Requests', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Requests' }).waitFor();
    const alerts = page.getByRole('main').getByRole('alert');
    await alerts.first().waitFor();
    gateway = await start_gateway({ folder, env: { ...env, ASAHI_PORT: `${port}` } });
    // The frame may have noticed the return by itself.
    const retry = alerts.getByRole('button', { name: 'Retry' }).first();
    await until(
      async () => {
        if (await retry.isVisible()) await retry.click({ timeout: 1_000 }).catch(() => undefined);
        return (await page.getByRole('region', { name: 'Requests', exact: true }).last().getByRole('row').count()) > 1;
      },
      { what: 'the list to be there again', timeout_ms: 2 * kLimitMs },
    );
    assert.equal(await alerts.count(), 0);
    assert.ok(complaints.every((text) => /ERR_CONNECTION|Failed to load|Failed to fetch|ERR_EMPTY|ERR_INCOMPLETE/.test(text)), complaints.join('\n'));
  });

  test('a hit by meaning is explained, and a wrong one is reported from its trace', async () => {
    await page.goto('about:blank');
    await gateway.stop();
    gateway = await start_gateway({ env: { ...kMock, ...kSemantic } });
    complaints.splice(0);
    await open_page({ viewport: kDesktop, colorScheme: 'light' });
    const ask = (prompt) => gateway.infer({ prompt, model: 'gpt-4o', routing_mode: 'explicit' });
    await ask('How do I reset my password in the customer portal?');
    await until(async () => (await api('/cache/stats')).semantic.entries >= 1, { what: 'the entry', timeout_ms: 2 * kLimitMs });
    const hit = await ask('How can I reset my password in the customer portal?');
    assert.equal(hit.cache_tier, 2);
    await until(async () => (await gateway.get(`/analytics/events/${hit.request_id}`)).status === 200, { what: 'the event', timeout_ms: kLimitMs });
    await go('requests', `?id=${hit.request_id}`);
    const panel = page.getByRole('dialog');
    await panel.getByText('Semantic hit').waitFor();
    await panel.getByText(/nothing speaks against the same meaning/).waitFor();
    await panel.getByRole('button', { name: 'Wrong answer' }).click();
    await panel.getByText('Reported: this stored answer serves nobody any more.').waitFor();
    no_complaints();
  });
});

const count_spans = (span) => 1 + span.children.reduce((sum, child) => sum + count_spans(child), 0);
