/** A login that ends in the middle of something: it is asked for again over the page, nothing typed is lost, and one is where one was. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { stop_everything } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { gateway_with_accounts, kAdmin } from './accounts.mjs';
import { kBrowser, kDesktop, kLimitMs, kPhone, launch, new_page, settled } from './browser.mjs';
import { push_memories } from './memories.mjs';

describe('a login that ends', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page, bearer;
  const complaints = [];

  before(async () => {
    let admin_key;
    ({ gateway, admin_key } = await gateway_with_accounts());
    bearer = { authorization: `Bearer ${admin_key}` };
    await push_memories({ post: (path, body) => gateway.post(path, body, bearer) });
    for (const model of ['gpt-4o', 'gpt-4o-mini']) await ask(model);
    browser = await launch();
    await show();
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  const ask = async (model) => {
    const answer = await gateway.post('/infer', { prompt: `hello ${model}`, routing_mode: 'explicit', model }, bearer);
    assert.equal(answer.status, 200, answer.text);
  };
  /** Being refused is part of these tests; the browser notes it. */
  const only_refusals = () => assert.deepEqual(complaints.filter((text) => !/status of 401/.test(text)), []);
  const heading = (name) => page.getByRole('heading', { level: 1, name }).waitFor();
  const ended = () => page.getByRole('heading', { name: 'Your login has ended' });
  const asks_again = () => page.getByRole('dialog').filter({ has: ended() });
  const fill_login = async (place) => {
    await place.getByLabel('E-mail', { exact: true }).fill(kAdmin.email);
    await place.getByLabel('Password', { exact: true }).fill(kAdmin.password);
    await place.getByRole('button', { name: 'Log in', exact: true }).click();
  };

  async function show(options = { viewport: kDesktop, colorScheme: 'light' }) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, options);
    await page.goto(`${gateway.url}/#/login`);
    await heading('Log in to Asahi');
    await fill_login(page);
    await heading('Dashboard');
  }
  async function open(path, name) {
    await page.goto(`${gateway.url}/#/${path}`);
    await heading(name);
    await settled(page, path);
  }
  /** The session is gone, as after its time or a restart that forgot it. */
  const end_session = () => page.context().clearCookies();
  async function log_in_again() {
    await ended().waitFor();
    assert.match(await asks_again().innerText(), /Log in again as ada@example.com/);
    await fill_login(asks_again());
    await ended().waitFor({ state: 'detached' });
  }
  const streams = () => page.getByRole('main').getByRole('status').filter({ hasText: /^Live$/ }).waitFor();
  const where = () => decodeURIComponent(new URL(page.url()).hash);

  test('while a key is made: the form is as it was, and makes it then', async () => {
    await open('governance/keys', 'API Keys');
    await page.getByRole('button', { name: 'Create key' }).click();
    const form = page.getByRole('dialog').filter({ hasText: 'Create an API key' });
    await form.getByLabel('Name', { exact: true }).fill('nightly 朝');
    await form.getByLabel('Models', { exact: true }).fill('gpt-4o-mini');
    await form.getByLabel('Requests per minute').fill('60');
    await end_session();
    await form.getByRole('button', { name: 'Create', exact: true }).click();
    await ended().waitFor();
    assert.deepEqual(await faults_of(page), []);
    await page.keyboard.press('Escape');
    assert.equal(await asks_again().getByRole('button', { name: 'Close' }).count(), 0, 'what leaves the page says so');
    await log_in_again();
    assert.equal(await form.getByLabel('Name', { exact: true }).inputValue(), 'nightly 朝');
    await form.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('heading', { name: 'Your new API key' }).waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Done' }).click();
    const { keys } = (await gateway.get('/governance/api-keys', bearer)).body;
    const [made, ...more] = keys.filter(({ name }) => name === 'nightly 朝');
    assert.deepEqual(more, [], 'it was made once');
    assert.deepEqual([made.allowed_models, made.rate_limit_per_minute], [['gpt-4o-mini'], 60]);
    only_refusals();
  });

  test('while a budget is saved: the review stands, and saves it then', async () => {
    await open('governance/policies', 'Policies');
    await page.getByLabel('Dollars per month').fill('77');
    await page.getByRole('button', { name: 'Review changes' }).click();
    await end_session();
    await page.getByRole('dialog').getByRole('button', { name: 'Save policy' }).click();
    await log_in_again();
    await page.getByRole('dialog').getByRole('button', { name: 'Save policy' }).click();
    await page.getByText('The policy is saved').waitFor();
    assert.equal((await gateway.get('/org/policy', bearer)).body.max_cost_per_month, 77);
    only_refusals();
  });

  test('while settings are changed: what was moved stays moved', async () => {
    await open('settings?tab=routing', 'Settings');
    await page.getByLabel('Cost', { exact: true }).fill('0.6');
    await end_session();
    await page.getByRole('button', { name: 'Save weights' }).click();
    await log_in_again();
    assert.equal(await page.getByLabel('Cost', { exact: true }).inputValue(), '0.6');
    await page.getByRole('button', { name: 'Save weights' }).click();
    await page.getByText('The weights are saved').waitFor();
    assert.equal((await gateway.get('/routing/weights', bearer)).body.weights.cost, 0.6);
    only_refusals();
  });

  test('while memories are aged: the question stays open, and the run is asked for once', async () => {
    await open('memory/tiers', 'Tiers');
    await page.getByLabel('From age in days').fill('40');
    await page.getByRole('button', { name: 'Age now' }).click();
    await end_session();
    await page.getByRole('dialog').getByRole('button', { name: 'Age now' }).click();
    await log_in_again();
    assert.equal(await page.getByLabel('From age in days').inputValue(), '40');
    await page.getByRole('dialog').getByRole('button', { name: 'Age now' }).click();
    await page.getByText('The run is queued.').waitFor();
    const { migrations } = (await gateway.get('/memory/storage/migrations', bearer)).body;
    assert.deepEqual(migrations.map(({ cutoff_days, dry_run }) => [cutoff_days, dry_run]), [[40, false]]);
    only_refusals();
  });

  test('while a question is asked: it is still there, and is answered then', async () => {
    await open('inference', 'Inference');
    const prompt = page.getByLabel('Prompt', { exact: true }).first();
    await prompt.fill('Which release was rolled back?');
    await end_session();
    await page.keyboard.press('Control+Enter');
    await log_in_again();
    assert.equal(await prompt.inputValue(), 'Which release was rolled back?');
    await prompt.focus();
    await page.keyboard.press('Control+Enter');
    await page.getByRole('region', { name: 'Answer' }).getByText(/\w/).first().waitFor();
    only_refusals();
  });

  test('while the live view is open: it goes on by itself', async () => {
    await open('live', 'Live');
    await streams();
    const seen = async () => Number((/([\d,]+) since the page was opened/.exec(await page.getByTestId('counters').innerText()) ?? [])[1]?.replaceAll(',', '') ?? -1);
    await until(async () => (await seen()) >= 0, { what: 'the counters', timeout_ms: kLimitMs });
    const before = await seen();
    await end_session();
    // What comes in makes the page ask for the list, which is refused.
    await ask('gpt-4o');
    await ended().waitFor();
    const stopped = await seen();
    assert.ok(stopped > before);
    await log_in_again();
    await streams();
    await ask('gpt-4o-mini');
    await until(async () => (await seen()) === stopped + 1, { what: 'the next request', timeout_ms: kLimitMs });
    assert.equal(await page.getByText('The stream is not available').count(), 0);
    only_refusals();
  });

  test('a stream that is refused when it comes back asks for the login, and goes on after it', async () => {
    await open('settings', 'Settings');
    await end_session();
    await page.evaluate(() => (window.location.hash = '#/live'));
    await log_in_again();
    await heading('Live');
    await streams();
    only_refusals();
  });

  test('on the way to another page: that page comes, with its filter and its range', async () => {
    await open('models', 'Models');
    await end_session();
    await page.evaluate(() => (window.location.hash = '#/requests?model=gpt-4o&range=7d'));
    await log_in_again();
    await heading('Requests');
    assert.match(where(), /^#\/requests\?model=gpt-4o&range=7d/);
    await settled(page);
    await until(async () => /gpt-4o/.test(await page.getByRole('region', { name: 'Requests' }).last().innerText()), { what: 'its rows', timeout_ms: kLimitMs });
    only_refusals();
  });

  test('after a reload the login page leads back to the same filter and range', async () => {
    await page.goto('about:blank');
    await end_session();
    await page.goto(`${gateway.url}/#/requests?model=gpt-4o&range=7d`);
    await heading('Log in to Asahi');
    await fill_login(page);
    await heading('Requests');
    assert.match(where(), /^#\/requests\?model=gpt-4o&range=7d/);
    only_refusals();
  });

  test('a login in another tab serves this one too', async () => {
    await open('governance/policies', 'Policies');
    await page.getByLabel('Dollars per month').fill('78');
    await end_session();
    await page.getByRole('button', { name: 'Review changes' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Save policy' }).click();
    await ended().waitFor();
    const other = await page.context().newPage();
    await other.goto(`${gateway.url}/#/login`);
    await fill_login(other);
    await other.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor();
    await other.close();
    // What a browser does when one comes back to a tab.
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
    await ended().waitFor({ state: 'detached' });
    await page.getByRole('dialog').getByRole('button', { name: 'Save policy' }).click();
    await page.getByText('The policy is saved').waitFor();
    assert.equal((await gateway.get('/org/policy', bearer)).body.max_cost_per_month, 78);
    only_refusals();
  });

  test('on a phone too the form under it is as it was', async () => {
    await show(kPhone);
    await open('governance/keys', 'API Keys');
    await page.getByRole('button', { name: 'Create key' }).click();
    const form = page.getByRole('dialog').filter({ hasText: 'Create an API key' });
    await form.getByLabel('Name', { exact: true }).fill('from the train');
    await end_session();
    await form.getByRole('button', { name: 'Create', exact: true }).click();
    await ended().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'it fits');
    await log_in_again();
    assert.equal(await form.getByLabel('Name', { exact: true }).inputValue(), 'from the train');
    only_refusals();
  });
});
