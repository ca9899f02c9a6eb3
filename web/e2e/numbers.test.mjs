/** A seeded month: the numbers on the screen are those of the API, and those of the database. ASAHI_BIN names the binary. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';

import { run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, settled } from './browser.mjs';

const kEvents = 6_000;
const kDays = 30;
const kDayMs = 86_400_000;
const kToday = Math.floor(Date.now() / kDayMs) * kDayMs;
const day_text = (time) => new Date(time).toISOString().slice(0, 10);
/** The month ends with yesterday, so that nothing that the tests themselves do falls into it. */
const kRange = `?range=custom&from=${day_text(kToday - kDays * kDayMs)}&to=${day_text(kToday - kDayMs)}`;
const kFrom = new Date(kToday - kDays * kDayMs).toISOString();
const kTo = new Date(kToday).toISOString();
const kWindow = `from=${kFrom}&to=${kTo}`;

describe('a seeded month', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    browser = await launch();
    const folder = temp_folder('numbers');
    const demo = await run_asahi(['demo', '--events', `${kEvents}`, '--end', kTo.slice(0, 19) + 'Z'], { folder, timeout_ms: 120_000 });
    assert.equal(demo.code, 0, demo.stderr);
    gateway = await start_gateway({ folder, env: { ASAHI_MOCK: 'true' } });
    const lines = gateway.events().length;
    await until(async () => Number((await gateway.sqlite('SELECT count(*) AS n FROM inference_events'))[0].n) === lines, { what: 'the month in the database', timeout_ms: 60_000 });
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light' });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function go(path, search = kRange) {
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/${path}${search}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await settled(page, path);
  }
  const api = async (path) => {
    const reply = await gateway.get(path);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    return reply.body.data;
  };
  const kIn = `timestamp >= '${kFrom.slice(0, 19)}' AND timestamp < '${kTo.slice(0, 19)}'`;
  const sql = (what, more = '') => gateway.sqlite(`SELECT ${what} FROM inference_events WHERE ${kIn} ${more}`);
  const card = (name) => page.getByRole('region', { name, exact: true }).first();
  const near = (a, b, what, by = 2e-6) => assert.ok(Math.abs(a - b) <= by * Math.max(1, Math.abs(b)), `${what}: ${a} is not ${b}`);
  const shows = (where, words, what) => assert.ok(where.includes(words), `${what ?? ''} ${words} is not in ${where.slice(0, 1200)}`);
  const no_complaints = () => assert.deepEqual(complaints, []);

  // As the dashboard writes them; format.test.ts holds it to that.
  const whole = (value) => Number(value).toLocaleString('en-US', { maximumFractionDigits: 0 });
  const dollars = (amount) => {
    const size = Math.abs(amount);
    if (size === 0) return '$0';
    if (size < 0.000001) return '<$0.000001';
    const decimals = size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
    return `${amount < 0 ? '−' : ''}$${size.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })}`;
  };
  const percent = (share) => `${(share * 100).toFixed(1).replace(/\.0$/, '')}%`;
  const milliseconds = (ms) => (ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 999.5 ? `${(ms / 1000).toFixed(2)} s` : ms >= 100 ? `${Math.round(ms)} ms` : ms >= 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`);
  const day_label = (time) => `${new Date(time).toLocaleDateString('en-US', { weekday: 'short', month: 'short', day: 'numeric', year: 'numeric', timeZone: 'UTC' })} UTC`;

  test('overview: requests, failures, cost, baseline, savings, quality, hits', async () => {
    const { current } = await api(`/analytics/overview?${kWindow}&granularity=day`);
    const [all] = await sql("count(*) AS n, sum(cost) AS cost, sum(baseline_cost) AS baseline, sum(coalesce(error_code, '') <> '') AS errors, sum(cache_tier > 0) AS hits, avg(CASE WHEN quality_score > 0 THEN quality_score END) AS quality");
    assert.equal(current.requests, Number(all.n));
    assert.equal(current.errors, Number(all.errors));
    assert.equal(current.cache_hits, Number(all.hits));
    near(current.total_cost, Number(all.cost), 'cost', 1e-5);
    near(current.baseline_cost, Number(all.baseline), 'baseline', 1e-5);
    near(current.savings, Number(all.baseline) - Number(all.cost), 'savings', 1e-5);
    assert.ok(Math.abs(current.avg_quality - Number(all.quality)) <= 0.005 + 1e-9, `quality: ${current.avg_quality} is not ${all.quality}`);
    await go('');
    const main = await page.getByRole('main').innerText();
    for (const words of [whole(current.requests), `${whole(current.errors)} failed`, dollars(current.total_cost), dollars(current.baseline_cost), dollars(current.savings), percent(current.savings_pct / 100), current.avg_quality.toFixed(2)]) shows(main, words);
    const fall = await card('Savings').innerText();
    const { waterfall, actual_cost } = await api(`/analytics/savings?${kWindow}&granularity=day`);
    for (const { amount } of waterfall) shows(fall, dollars(amount), 'waterfall');
    near(actual_cost, Number(all.cost), 'the end of the waterfall', 1e-5);
    no_complaints();
  });

  for (const [group, column, name] of [
    ['model', 'model_selected', 'model'],
    ['task_type', 'task_type', 'task'],
    ['user', 'user_id', 'user'],
    ['provider', 'provider', 'provider'],
    ['tier', 'cache_tier', 'cache tier'],
  ]) {
    test(`cost by ${name}: every row, its requests and its sum`, async () => {
      const { items, total_cost, total_requests } = await api(`/analytics/cost-breakdown?${kWindow}&group_by=${group}&limit=100`);
      const stored = await sql(`coalesce(${column}, '') AS key, count(*) AS n, sum(cost) AS cost`, 'GROUP BY 1');
      assert.equal(items.length, stored.length);
      near(total_cost, stored.reduce((sum, { cost }) => sum + Number(cost), 0), 'sum', 1e-5);
      assert.equal(total_requests, stored.reduce((sum, { n }) => sum + Number(n), 0));
      await go('analytics/cost', `${kRange}&group=${group}`);
      shows(await page.getByRole('main').innerText(), dollars(total_cost));
      const lines = (await page.getByRole('region', { name: `Cost by ${name}`, exact: true }).getByRole('row').allInnerTexts()).slice(1).map((line) => line.split('\t').map((cell) => cell.trim()));
      assert.equal(lines.length, items.length);
      for (const { key, n, cost } of stored) {
        const item = items.find((other) => other.key === `${key}` || (`${key}` === '' && ['unknown', ''].includes(other.key)));
        assert.ok(item, `${key} is not in the API`);
        assert.equal(item.requests, Number(n), key);
        near(item.cost, Number(cost), key, 1e-5);
        assert.ok(
          lines.some((cells) => cells[1] === whole(item.requests) && cells[2].startsWith(dollars(item.cost))),
          `${key}: ${whole(item.requests)}, ${dollars(item.cost)} is no row of ${lines.map((cells) => cells.join(' ')).join('\n')}`,
        );
      }
      no_complaints();
    });
  }

  for (const [metric, name, column, text] of [
    ['requests', 'Requests', 'count(*)', whole],
    ['cost', 'Cost', 'sum(cost)', dollars],
    ['savings', 'Savings', 'sum(baseline_cost - cost)', dollars],
    ['errors', 'Failed requests', "sum(coalesce(error_code, '') <> '')", whole],
    ['tokens', 'Tokens', 'sum(input_tokens + output_tokens)', whole],
  ]) {
    test(`trend of ${metric}: each day`, async () => {
      const { points } = await api(`/analytics/trends?metric=${metric}&${kWindow}&intervals=${kDays}`);
      const days = new Map((await sql(`substr(timestamp, 1, 10) AS day, ${column} AS value`, 'GROUP BY 1')).map(({ day, value }) => [day, Number(value)]));
      assert.equal(points.length, kDays);
      for (const { timestamp, value } of points) near(value, days.get(timestamp.slice(0, 10)) ?? 0, `${metric} of ${timestamp}`, 1e-5);
      await go('analytics/trends', `${kRange}&metric=${metric}&step=day`);
      await page.getByRole('button', { name: /^Show as table/ }).click();
      const shown = new Map((await card(name).getByRole('row').allInnerTexts()).slice(1).map((line) => line.split('\t').map((cell) => cell.trim())));
      assert.equal(shown.size, kDays);
      for (const { timestamp, value } of points) assert.equal(shown.get(day_label(Date.parse(timestamp))), text(value), `${metric} of ${timestamp}`);
      no_complaints();
    });
  }

  test('analytics: usage of each model, latencies, insights', async () => {
    await go('analytics');
    const usage = await api(`/analytics/models?${kWindow}`);
    const stored = await sql("model_selected AS model, count(*) AS n, sum(cost) AS cost", "AND model_selected <> '' GROUP BY 1");
    const lines = (await page.getByRole('region', { name: /^Model usage, / }).getByRole('row').allInnerTexts()).slice(1);
    for (const { model, n, cost } of stored) {
      const item = usage.find((other) => other.model === model);
      assert.equal(item?.requests, Number(n), model);
      near(item.total_cost, Number(cost), model, 1e-5);
      const line = lines.find((row) => row.split('\t')[0].trim() === model);
      assert.ok(line?.includes(whole(item.requests)) && line.includes(dollars(item.total_cost)), `${model}: ${line}`);
    }
    const latency = await api(`/analytics/latency-percentiles?${kWindow}`);
    const [{ n }] = await sql('count(*) AS n', "AND coalesce(error_code, '') = ''");
    assert.equal(latency.count, Number(n));
    const said = await card('Latency percentiles').innerText();
    shows(said, whole(latency.count));
    shows(said, milliseconds(latency.mean));
    const [{ mean }] = await sql('avg(latency_ms) AS mean', "AND coalesce(error_code, '') = ''");
    // The table keeps whole milliseconds.
    near(latency.mean, Number(mean), 'mean latency', 0.01);
    no_complaints();
  });

  test('cache: hits by tier, look-ups, what they saved', async () => {
    await go('cache');
    const cache = await api(`/analytics/cache?${kWindow}&granularity=day`);
    const tiers = await sql('cache_tier AS tier, count(*) AS n', 'AND cache_tier > 0 GROUP BY 1');
    assert.equal(cache.hits, tiers.reduce((sum, { n }) => sum + Number(n), 0));
    const said = await page.getByRole('main').innerText();
    shows(said, `${whole(cache.hits)} of ${whole(cache.lookups)} look-ups`);
    await card('Hits by tier').getByRole('button', { name: /^Show as table/ }).click();
    const bars = (await card('Hits by tier').getByRole('row').allInnerTexts()).slice(1).map((row) => row.split('\t').map((cell) => cell.trim()));
    for (const { tier, n } of tiers) assert.equal(bars[Number(tier) - 1][1].split(' ')[0], whole(n), `tier ${tier}`);
    no_complaints();
  });

  test('requests: as many as there are, one by one and in the file', async () => {
    const [{ n, cost }] = await sql('count(*) AS n, sum(cost) AS cost');
    await go('requests');
    const newest = (await sql('request_id, cost, model_selected', 'ORDER BY timestamp DESC, event_id DESC LIMIT 50')).map(({ request_id }) => request_id);
    const listed = page.getByRole('region', { name: 'Requests', exact: true }).last();
    assert.deepEqual((await listed.getByRole('row').allInnerTexts()).slice(1).map((line) => /req_\w+/.exec(line)[0]), newest);
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByText('NDJSON').click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('dialog').getByRole('button', { name: 'Export' }).click()]);
    const lines = readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(lines.length, Number(n));
    near(lines.reduce((sum, event) => sum + event.cost, 0), Number(cost), 'cost of the file', 1e-5);
    await page.getByText(`Saved ${whole(lines.length)} requests`).waitFor({ timeout: kLimitMs });

    const [{ model, failed }] = await sql("model_selected AS model, count(*) AS failed", "AND error_code <> '' AND model_selected <> '' GROUP BY 1 ORDER BY 2 LIMIT 1");
    await go('requests', `${kRange}&model=${model}&error=true`);
    await until(async () => (await listed.getByRole('row').count()) === Math.min(50, Number(failed)) + 1, { what: `the ${failed} failures of ${model}`, timeout_ms: kLimitMs });
    no_complaints();
  });

  test('forecast: what the API predicts, from days that are those of the database', async () => {
    const [{ cost }] = await sql('sum(cost) AS cost');
    const forecast = await api('/analytics/forecast?horizon_days=30&history_days=60');
    near(forecast.history.reduce((sum, point) => sum + point.cost, 0), Number(cost), 'cost of the days that it learned from', 1e-5);
    await go('analytics/forecast', '?budget=0');
    shows(await page.getByRole('main').innerText(), dollars(forecast.predicted_cost));
    no_complaints();
  });
});
