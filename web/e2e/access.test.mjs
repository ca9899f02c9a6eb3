/** Logging in, keys, policy and the audit log, in a real browser against a gateway that wants to know who calls. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { stop_everything } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { gateway_with_accounts, kAdmin } from './accounts.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, save_picture } from './browser.mjs';

const kWelcome = 'The same answers, for a fraction of the price';
const kViewer = { email: 'vera@example.com', password: 'staple battery horse' };

describe('dashboard with authentication', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page, admin_key, made_key;
  const complaints = [];

  before(async () => {
    ({ gateway, admin_key } = await gateway_with_accounts());
    const viewer = await gateway.post('/org/users', { ...kViewer, role: 'viewer' }, { authorization: `Bearer ${admin_key}` });
    assert.equal(viewer.status, 201, viewer.text);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  /** A fresh browser: nobody is logged in. */
  async function open(path = '', options = {}) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light', ...options });
    await page.goto(`${gateway.url}/#/${path}`);
  }
  const heading = (name) => page.getByRole('heading', { level: 1, name }).waitFor();
  async function log_in({ email, password }) {
    await heading('Log in to Asahi');
    await page.getByLabel('E-mail', { exact: true }).fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
  }
  const dialog = () => page.getByRole('dialog');
  const rows = (label) => page.getByRole('region', { name: label }).getByRole('row');
  const menu = () => page.getByRole('button', { name: /^Account: / });
  /** Being asked to log in is part of these tests; the browser notes each refusal by its status. */
  const only_refusals = () => assert.deepEqual(complaints.filter((text) => !/status of 40[13]|status of 429/.test(text)), []);
  const accessible = async () => assert.deepEqual(await faults_of(page), []);

  test('whoever is not logged in is sent to the login page, and refused with a wrong password', async () => {
    await open('governance/keys');
    await log_in({ ...kAdmin, password: 'not the password' });
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /the e-mail or the password is wrong/);
    assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
    assert.equal(await page.getByRole('link', { name: 'Dashboard' }).count(), 0);
    await accessible();
    only_refusals();
  });

  test('after the login the page that was asked for comes, and the header tells who is there', async () => {
    await open('governance/keys');
    await log_in(kAdmin);
    await heading('API Keys');
    assert.equal(await menu().getAttribute('aria-label'), 'Account: ada@example.com, acme · admin');
    assert.match(await menu().innerText(), /acme · admin/);
    assert.equal(await page.getByText('authentication is off').count(), 0);
    await page.reload();
    await heading('API Keys');
    only_refusals();
  });

  test('a key is made with its limits, shown once, and works', async () => {
    await page.getByRole('button', { name: 'Create key' }).click();
    await dialog().getByLabel('Name', { exact: true }).fill('nightly job');
    await dialog().getByRole('checkbox', { name: /^infer/ }).uncheck();
    await dialog().getByRole('button', { name: 'Create', exact: true }).click();
    await dialog().getByText('Tick at least one.').waitFor();
    await dialog().getByRole('checkbox', { name: /^infer/ }).check();
    await dialog().getByRole('checkbox', { name: /^analytics/ }).check();
    await dialog().getByLabel('Models', { exact: true }).fill('gpt-4o-mini, claude-*');
    await dialog().getByLabel('Requests per minute').fill('60');
    await accessible();
    await dialog().getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('heading', { name: 'Your new API key' }).waitFor();
    await accessible();
    made_key = (await dialog().getByLabel('New API key').innerText()).trim();
    assert.match(made_key, /^ask_acme_/);
    await dialog().getByRole('button', { name: 'Copy key' }).waitFor();
    await dialog().getByRole('button', { name: 'Done' }).click();

    await page.getByRole('button', { name: 'Revoke nightly job' }).waitFor();
    const row = (await rows('API keys').allInnerTexts()).find((text) => text.includes('nightly job'));
    for (const part of ['active', 'infer', 'analytics', 'gpt-4o-mini', 'claude-*', '60 req/min', 'never']) assert.ok(row.includes(part), `${part} is missing in ${row}`);
    assert.equal((await page.content()).includes(made_key), false, 'the key is still in the page');
    const use = (model) => gateway.post('/infer', { prompt: 'hello', routing_mode: 'explicit', model }, { authorization: `Bearer ${made_key}` });
    assert.equal((await use('gpt-4o-mini')).status, 200);
    assert.notEqual((await use('gpt-4o')).status, 200);
    only_refusals();
  });

  test('a key is rotated and revoked only after asking', async () => {
    await page.getByRole('button', { name: 'Rotate nightly job' }).click();
    await dialog().getByRole('button', { name: 'Rotate' }).click();
    await page.getByRole('heading', { name: 'Your new API key' }).waitFor();
    const successor = (await dialog().getByLabel('New API key').innerText()).trim();
    assert.notEqual(successor, made_key);
    await dialog().getByRole('button', { name: 'Done' }).click();
    await page.getByText('rotated', { exact: true }).waitFor();

    const revoke = page.getByRole('row').filter({ hasText: successor.slice(0, 12) }).getByRole('button', { name: /^Revoke/ });
    await revoke.click();
    await dialog().getByRole('button', { name: 'Keep it' }).click();
    assert.equal((await gateway.get('/models', { authorization: `Bearer ${successor}` })).status, 200);
    await revoke.click();
    await dialog().getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByText('The key is revoked.').waitFor();
    await page.getByText('revoked', { exact: true }).waitFor();
    assert.equal((await gateway.get('/models', { authorization: `Bearer ${successor}` })).status, 401);
    await accessible();
    only_refusals();
  });

  test("the organisation's own key at a provider is set, shown by its hint, and removed after asking", async () => {
    await page.getByText('No keys of your own').waitFor();
    await page.getByRole('button', { name: 'Set provider key' }).click();
    await dialog().getByLabel('Provider', { exact: true }).selectOption('openai');
    await dialog().getByLabel('Key', { exact: true }).fill('short');
    await dialog().getByRole('button', { name: 'Save' }).click();
    await dialog().getByText(/8 to 1024 characters/).waitFor();
    await dialog().getByLabel('Key', { exact: true }).fill('sk-own-of-acme-7788');
    await accessible();
    await dialog().getByRole('button', { name: 'Save' }).click();
    await page.getByText('Calls to openai use the new key.').waitFor();
    const row = rows('Provider keys').filter({ hasText: 'openai' });
    await row.waitFor();
    assert.match(await row.innerText(), /…7788/);
    assert.equal((await page.content()).includes('sk-own-of-acme-7788'), false, 'the key is still in the page');
    await accessible();
    await page.getByRole('button', { name: 'Remove the key for openai' }).click();
    await dialog().getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText('No keys of your own').waitFor();
    assert.deepEqual(complaints.filter((text) => !/status of 40[013]|status of 429/.test(text)), []);
    complaints.splice(0);
  });

  test('the audit log has it all: filtered, in detail, verified, exported', async () => {
    await page.getByRole('link', { name: 'Audit Log', exact: true }).click();
    await heading('Audit Log');
    await page.getByText('api_key.revoke').first().waitFor();
    await page.getByLabel('Action', { exact: true }).fill('api_key.create');
    await page.keyboard.press('Enter');
    await until(async () => (await rows('Audit log').count()) === 2, { what: 'one entry', timeout_ms: kLimitMs });
    const details = page.getByRole('button', { name: /^Details of api_key.create/ });
    await details.click();
    assert.equal(await details.getAttribute('aria-expanded'), 'true');
    assert.match(await page.getByLabel('Details', { exact: true }).innerText(), /"scopes": \[\s+"infer",\s+"analytics"/);
    await accessible();

    for (const format of ['CSV', 'JSON']) {
      const download = page.waitForEvent('download');
      await page.getByRole('button', { name: `Export ${format}` }).click();
      assert.equal((await download).suggestedFilename(), `asahi-audit.${format.toLowerCase()}`);
    }
    await page.getByText('chain whole').waitFor();
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText(/^\d+ entries checked at/).waitFor();
    await page.getByLabel('User', { exact: true }).fill('nobody');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('No entry matches').waitFor();
    await page.getByRole('button', { name: 'Clear', exact: true }).click();
    await page.getByText('auth.login').first().waitFor();
    only_refusals();
  });

  test('a chain that somebody broke is said', async () => {
    // The database guards its log against a slip, not against whoever owns it.
    for (const { name } of await gateway.sqlite("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entries'")) await gateway.sqlite(`DROP TRIGGER ${name}`);
    await gateway.sqlite("UPDATE audit_entries SET action = 'auth.logout' WHERE org_id = 'acme' AND seq = 2");
    await page.getByRole('button', { name: 'Verify' }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /The chain is broken/);
    await page.getByText('chain broken').waitFor();
    await accessible();
    only_refusals();
  });

  test('the policy starts empty, is changed and holds', async () => {
    await page.getByRole('link', { name: 'Policies', exact: true }).click();
    await heading('Policies');
    await page.getByText(/^None yet/).waitFor();
    const blocked = page.getByRole('group', { name: 'Blocked models' });
    await blocked.getByLabel('Find models for Blocked models').fill('gpt-4o');
    await blocked.getByRole('checkbox', { name: /^gpt-4o openai/ }).check();
    await blocked.getByLabel('Find models for Blocked models').fill('deep*');
    await page.keyboard.press('Enter');
    await page.getByLabel('Dollars per day').fill('-3');
    await page.keyboard.press('Enter');
    await page.getByText('A number, or empty.').waitFor();
    await page.getByLabel('Dollars per day').fill('2.50');
    await page.getByLabel('Quality', { exact: true }).fill('4');
    await page.getByRole('button', { name: 'Limit a model' }).click();
    await page.getByLabel('Model', { exact: true }).fill('o3');
    await page.getByLabel('Requests', { exact: true }).fill('5');
    await accessible();
    await page.getByRole('button', { name: 'Review changes' }).click();
    const review = await dialog().innerText();
    for (const words of ['Blocked models', 'gpt-4o, deep*', 'Dollars per day', '$2.50', 'o3, per minute', '5 requests']) assert.ok(review.includes(words), `${words} is missing in ${review}`);
    await accessible();
    await save_picture(page, 'policies-review');
    await dialog().getByRole('button', { name: 'Back' }).click();
    assert.equal((await gateway.get('/org/policy', { authorization: `Bearer ${admin_key}` })).body.updated_at, null);
    await page.getByRole('button', { name: 'Review changes' }).click();
    await dialog().getByRole('button', { name: 'Save policy' }).click();
    await page.getByText(/^Last changed .* by usr_/).waitFor();
    const stored = (await gateway.get('/org/policy', { authorization: `Bearer ${admin_key}` })).body;
    assert.deepEqual([stored.blocked_models, stored.max_cost_per_day, stored.default_quality_threshold], [['gpt-4o', 'deep*'], 2.5, 4]);
    assert.equal(stored.per_model.o3.requests_per_minute, 5);
    await page.getByText('of $2.50').waitFor();
    await accessible();
    only_refusals();
  });

  test('logging out ends the session and shows nothing any more', async () => {
    const cookie = (await page.context().cookies()).find(({ name }) => name === 'asahi_session');
    await menu().click();
    await page.getByText('Organisation acme, role admin').waitFor();
    await page.getByRole('menuitem', { name: 'Log out' }).click();
    await heading('Log in to Asahi');
    assert.equal((await gateway.get('/auth/me', { cookie: `asahi_session=${cookie.value}` })).status, 401);
    assert.equal(await page.getByText('gpt-4o').count(), 0);
    only_refusals();
  });

  test('a login that ends in the middle of something is asked for again, and nothing typed is lost', async () => {
    await open('governance/policies');
    await log_in(kAdmin);
    await heading('Policies');
    await page.getByLabel('Dollars per month').fill('77');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Review changes' }).click();
    await dialog().getByRole('button', { name: 'Save policy' }).click();
    await page.getByRole('heading', { name: 'Your login has ended' }).waitFor();
    assert.match(await dialog().last().innerText(), /Log in again as ada@example.com/);
    await dialog().last().getByLabel('E-mail', { exact: true }).fill(kAdmin.email);
    await dialog().last().getByLabel('Password', { exact: true }).fill(kAdmin.password);
    await dialog().last().getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByRole('heading', { name: 'Your login has ended' }).waitFor({ state: 'detached' });
    await dialog().getByRole('button', { name: 'Save policy' }).click();
    await page.getByText('The policy is saved').waitFor();
    const stored = (await gateway.get('/org/policy', { authorization: `Bearer ${admin_key}` })).body;
    assert.equal(stored.max_cost_per_month, 77);
    only_refusals();
  });

  test('whoever logs in as somebody else after that sees nothing of before', async () => {
    await page.getByLabel('Dollars per month').fill('78');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('heading', { name: 'Your login has ended' }).waitFor();
    await dialog().getByLabel('E-mail', { exact: true }).fill(kViewer.email);
    await dialog().getByLabel('Password', { exact: true }).fill(kViewer.password);
    await dialog().getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByText('The policy could not be read').waitFor();
    assert.equal(await page.getByLabel('Dollars per month').count(), 0);
    only_refusals();
  });

  test('a viewer is not shown what a viewer may not do, and is told by its address', async () => {
    await open('login');
    await log_in(kViewer);
    await heading('Dashboard');
    for (const name of ['API Keys', 'Policies', 'Audit Log', 'Cache']) assert.equal(await page.getByRole('link', { name, exact: true }).count(), 0, name);
    await page.goto(`${gateway.url}/#/governance/keys`);
    await page.getByText('The keys could not be listed').waitFor();
    await page.getByText(/ask an admin of your organisation/).waitFor();
    only_refusals();
  });

  test('a key logs the tab in, a wrong one does not', async () => {
    await open('login');
    await page.getByLabel('API key', { exact: true }).fill('ask_acme_wrong');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('The gateway refuses this key').waitFor();
    await page.getByLabel('API key', { exact: true }).fill(admin_key);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await heading('Dashboard');
    assert.match(await menu().innerText(), /acme · API key/);
    assert.equal(await page.evaluate((key) => JSON.stringify(localStorage).includes(key), admin_key), false);
    assert.equal((await page.context().cookies()).length, 0);
    await menu().click();
    await page.getByRole('menuitem', { name: 'Log out' }).click();
    await heading(kWelcome);
    assert.equal(await page.evaluate(() => sessionStorage.getItem('asahi.api-key')), null);
    only_refusals();
  });

  test('the logins of the organisation are offered', async () => {
    const provider = { id: 'okta', name: 'Okta', type: 'oidc', login_url: '/auth/oidc/okta/login' };
    await open('about');
    await page.route('**/auth/providers', (route) => route.fulfill({ json: { providers: [provider] } }));
    await page.goto(`${gateway.url}/#/governance/audit`);
    await page.reload();
    const link = page.getByRole('link', { name: 'Log in with Okta' });
    await link.waitFor();
    assert.equal(await link.getAttribute('href'), `${gateway.url}/auth/oidc/okta/login?return_to=${encodeURIComponent('/#/governance/audit')}`);
    await accessible();
    only_refusals();
  });

  test('the pages fit 320 px in the dark and work by keyboard', async () => {
    await open('login', { viewport: { width: 320, height: 700 }, colorScheme: 'dark', reducedMotion: 'reduce' });
    await heading('Log in to Asahi');
    const fits = async (name) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 320, `${name} is ${width} px wide`);
      await accessible();
      await save_picture(page, `phone-${name}`);
    };
    await fits('login');
    await page.getByLabel('E-mail', { exact: true }).focus();
    await page.keyboard.type(kAdmin.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(kAdmin.password);
    await page.keyboard.press('Enter');
    await heading('Dashboard');
    for (const name of ['API Keys', 'Policies', 'Audit Log', 'Alerts', 'Settings']) {
      await page.getByRole('button', { name: 'Open menu' }).focus();
      await page.keyboard.press('Enter');
      await dialog().getByRole('link', { name, exact: true }).focus();
      await page.keyboard.press('Enter');
      await heading(name);
      await until(async () => (await dialog().count()) === 0, { what: 'the menu to close', timeout_ms: kLimitMs });
      await until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, { what: `${name} to load`, timeout_ms: kLimitMs });
      await fits(name.toLowerCase().replace(' ', '-'));
    }
    await menu().focus();
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'Connection' }).waitFor();
    const log_out = page.getByRole('menuitem', { name: 'Log out' });
    await until(async () => {
      await page.keyboard.press('End');
      return log_out.evaluate((item) => item === document.activeElement);
    }, { what: 'the last item to have the focus', timeout_ms: kLimitMs });
    await page.keyboard.press('Enter');
    await heading('Log in to Asahi');
    only_refusals();
  });

  test('too many failures are held back, with the wait', async () => {
    await open('login');
    // The gateway's own waits begin with a second, too short to be read on a slow machine.
    const held = { error: 'auth_locked_out', message: 'too many failed logins; wait before the next attempt', details: {}, retry_after_seconds: 90 };
    await page.route('**/auth/login', (route) => route.fulfill({ status: 429, json: held }));
    await log_in(kViewer);
    await page.getByText('Too many failed attempts').waitFor();
    await page.getByText(/Try again in 1 min (30|29|28) s/).waitFor();
    only_refusals();
  });
});
