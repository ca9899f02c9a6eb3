/** The pages of the memory on the real server: what is searched, why it was found, what became of uploads. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, settled } from './browser.mjs';
import { bucket_of, push_memories, uploads_done, write_uploads } from './memories.mjs';

describe('memory', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    const bucket = temp_folder('bucket');
    write_uploads(bucket);
    [gateway, browser] = await Promise.all([start_gateway({ env: { ASAHI_MOCK: 'true', ...bucket_of(bucket) } }), launch()]);
    await push_memories(gateway);
    await uploads_done(gateway);
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light' });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function open(path) {
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/${path}`);
    await settled(page, path);
  }
  const cards = () => page.getByRole('list', { name: 'Memories' }).getByRole('listitem');
  const names = async () => Promise.all((await cards().all()).map((card) => card.getAttribute('aria-label')));
  const asked = async (body) => (await gateway.post('/memory/search', body)).body;
  const api_names = async (body) => (await asked(body)).results.map(({ system_id, conversation_id }) => `${system_id}, ${conversation_id}`);
  const shows = (wanted, what) => until(async () => (await names()).join() === wanted.join(), { what, timeout_ms: kLimitMs });
  const search = () => new URLSearchParams(page.url().split('?')[1]);
  const no_complaints = () => assert.deepEqual(complaints, []);

  test('the sidebar and the palette lead to the memory', async () => {
    await open('');
    await page.getByRole('list', { name: 'Memory' }).getByRole('link', { name: 'Search' }).click();
    await page.getByRole('heading', { level: 1, name: 'Search', exact: true }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Find a page or command' }).fill('ledger');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Uploads' }).waitFor();
    no_complaints();
  });

  test('without words the newest come first; words put first what the API finds, and say why', async () => {
    await open('memory/search');
    await shows(await api_names({}), 'the newest memories');
    await page.getByRole('searchbox', { name: 'Search memories' }).fill('who may roll back payments');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    const reply = await asked({ query: 'who may roll back payments' });
    await shows(reply.results.map(({ system_id, conversation_id }) => `${system_id}, ${conversation_id}`), 'what was searched for');
    const [best] = reply.results;
    const card = cards().first();
    await card.getByRole('button', { name: /^Why this/ }).click();
    await card.getByText(`BM25 ${best.explanation.bm25.toFixed(1)}, rank ${best.explanation.keyword_rank}`).waitFor();
    for (const term of best.explanation.matched_terms) await card.getByText(term, { exact: true }).first().waitFor();
    assert.equal(search().get('q'), 'who may roll back payments');
    assert.deepEqual(await faults_of(page), []);
    no_complaints();
  });

  test('facets are counted and narrow the search; a filter is dropped by its chip, and Back brings it again', async () => {
    await open('memory/search');
    const { facets } = await asked({ facets: ['system_id'] });
    const systems = page.getByRole('group', { name: 'System' });
    for (const [system, number] of Object.entries(facets.system_id).slice(0, 5)) {
      assert.match(await systems.getByRole('listitem').filter({ hasText: system }).innerText(), new RegExp(`${number}$`));
    }
    await systems.getByLabel(/^legal-team/).check();
    await shows(await api_names({ system_ids: ['legal-team'] }), 'those of one system');
    assert.match(search().get('systems'), /legal-team/);
    await page.getByRole('button', { name: 'Drop system: legal-team' }).click();
    await shows(await api_names({}), 'all again');
    await page.goBack();
    await shows(await api_names({ system_ids: ['legal-team'] }), 'what stood there before');
    await open('memory/search?q=coffee&mode=keyword&project=payments');
    await page.getByText('No memory matches').waitFor();
    await page.getByRole('button', { name: 'Drop project: payments' }).last().click();
    await shows(await api_names({ query: 'coffee', mode: 'keyword' }), 'without the filter');
    no_complaints();
  });

  test('a memory opens whole, with where else it was said, and is forgotten when that is confirmed', async () => {
    await open('memory/search?q=closed%20for%20writes&mode=keyword');
    const card = cards().first();
    await card.getByRole('button', { name: /^Why this/ }).click();
    await card.getByText(/Said again in claude-desk \(heard\)/).waitFor();
    await card.getByRole('button', { name: /^Open/ }).click();
    const panel = page.getByRole('dialog');
    await panel.getByText('Content hash').waitFor();
    assert.deepEqual(await faults_of(page), []);
    await page.keyboard.press('Escape');
    const [gone] = await api_names({ query: 'closed for writes', mode: 'keyword' });
    await card.getByRole('button', { name: /^Forget/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Keep it' }).click();
    assert.equal((await names())[0], gone);
    await card.getByRole('button', { name: /^Forget/ }).click();
    await page.getByRole('button', { name: 'Forget it' }).click();
    await page.getByText('Forgotten: no search finds it any more.').waitFor();
    await until(async () => !(await names()).includes(gone), { what: 'the memory to be gone', timeout_ms: kLimitMs });
    no_complaints();
  });

  test('a tier that does not answer is named, and asked again', async () => {
    let partial = true;
    const pattern = `${gateway.url}/memory/search`;
    await page.context().route(pattern, async (route) => {
      if (!partial) return route.fallback();
      const reply = await route.fetch();
      return route.fulfill({ response: reply, json: { ...(await reply.json()), partial: true, failed_shards: ['cold'] } });
    });
    await open('memory/search?q=payments');
    await page.getByText('cold did not answer in time; the rest is shown.').waitFor();
    partial = false;
    await page.getByRole('button', { name: 'Ask again' }).click();
    await until(async () => (await page.getByText('did not answer in time').count()) === 0, { what: 'a whole reply', timeout_ms: kLimitMs });
    await page.context().unroute(pattern);
    no_complaints();
  });

  test('uploads say what became of them: what is wrong with which memory, and which can be tried again', async () => {
    await open('memory/uploads');
    const table = page.getByRole('region', { name: 'Uploads' }).last();
    const { uploads } = (await gateway.get('/memory/uploads')).body;
    await until(async () => (await table.getByRole('row').count()) === uploads.length + 1, { what: 'every upload', timeout_ms: kLimitMs });
    const part = uploads.find(({ state }) => state === 'partial');
    await page.getByRole('button', { name: `Details of ${part.upload_id}, ${part.system_id}` }).click();
    const out = page.getByRole('list', { name: 'Left out' }).getByRole('listitem');
    assert.equal(await out.count(), part.bad_items.length);
    assert.match(await out.first().innerText(), new RegExp(`Memory ${part.bad_items[0].index}`));
    await page.getByRole('button', { name: `Try again: ${part.upload_id}` }).click();
    await page.getByText('It is taken in again.').waitFor();
    const bad = uploads.find(({ state }) => state === 'rejected');
    await page.getByRole('button', { name: `Details of ${bad.upload_id}, ${bad.system_id}` }).click();
    await page.getByText(bad.error).waitFor();
    assert.equal(await page.getByRole('button', { name: `Try again: ${bad.upload_id}` }).count(), 0);
    assert.deepEqual(await faults_of(page), []);
    await page.getByLabel('State', { exact: true }).selectOption('rejected');
    await until(async () => (await table.getByRole('button', { name: /^Details of/ }).count()) === 1, { what: 'only the rejected one', timeout_ms: kLimitMs });
    assert.equal(search().get('state'), 'rejected');
    no_complaints();
  });

  test('what arrives meanwhile comes in at the top, and waits while somebody reads further down', async () => {
    await open('memory/uploads');
    const push = (system_id) => gateway.post('/memory/memories', { memory_id: 'one', text: `A word of ${system_id}.`, system_id });
    await push('early-bird');
    await page.getByRole('cell', { name: 'early-bird', exact: true }).waitFor({ timeout: 2 * kLimitMs });
    await page.setViewportSize({ width: 1440, height: 320 });
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await push('late-riser');
    const button = page.getByRole('button', { name: /^\d+ new$/ });
    await button.waitFor({ timeout: 2 * kLimitMs });
    assert.equal(await page.getByRole('cell', { name: 'late-riser', exact: true }).count(), 0);
    await button.click();
    await page.getByRole('cell', { name: 'late-riser', exact: true }).waitFor();
    await page.setViewportSize(kDesktop);
    no_complaints();
  });
});
