/** Logging in, keys, policy and the audit log, in a real browser against a gateway that wants to know who calls. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, save_picture } from './browser.mjs';

const kOperator = { 'x-admin-secret': 'operator-secret-for-tests' };
const kAdmin = { email: 'ada@example.com', password: 'correct horse battery' };
const kViewer = { email: 'vera@example.com', password: 'staple battery horse' };

describe('dashboard with authentication', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page, admin_key, made_key;
  const complaints = [];

  before(async () => {
    gateway = await start_gateway({
      env: {
        ASAHI_MOCK: 'true',
        ASAHI_AUTH_API_KEY_REQUIRED: 'true',
        ASAHI_ADMIN_SECRET: kOperator['x-admin-secret'],
        ASAHI_ENCRYPTION_KEY: '5a'.repeat(32),
        ASAHI_GOVERNANCE_PBKDF2_ITERATIONS: '100000',
      },
    });
    const founded = await gateway.post('/signup', { org_name: 'Acme', ...kAdmin }, kOperator);
    assert.equal(founded.status, 201, founded.text);
    admin_key = founded.body.api_key;
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
    await open('access');
    await log_in({ ...kAdmin, password: 'not the password' });
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /the e-mail or the password is wrong/);
    assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
    assert.equal(await page.getByRole('link', { name: 'Overview' }).count(), 0);
    await accessible();
    only_refusals();
  });

  test('after the login the page that was asked for comes, and the header tells who is there', async () => {
    await open('access');
    await log_in(kAdmin);
    await heading('Access');
    assert.equal(await menu().getAttribute('aria-label'), 'Account: ada@example.com, admin in acme');
    assert.match(await menu().innerText(), /acme · admin/);
    assert.equal(await page.getByText('authentication is off').count(), 0);
    await page.reload();
    await heading('Access');
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
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    await heading('Audit');
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
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText(/^The chain is whole: \d+ entries checked/).waitFor();
    await page.getByLabel('User', { exact: true }).fill('nobody');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('No entry matches').waitFor();
    await page.getByRole('button', { name: 'Clear', exact: true }).click();
    await page.getByText('auth.login').first().waitFor();
    only_refusals();
  });

  test('a broken chain is said', async () => {
    await page.route('**/governance/audit/verify', (route) =>
      route.fulfill({ json: { org_id: 'acme', valid: false, checked: 4, first_bad_entry: 'aud_3', problem: 'the hash of entry aud_3 does not match' } }));
    await page.getByRole('button', { name: 'Verify' }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /The chain is broken\s+the hash of entry aud_3 does not match/);
    await page.unroute('**/governance/audit/verify');
    only_refusals();
  });

  test('the policy starts empty, is changed and holds', async () => {
    await page.getByRole('link', { name: 'Policy', exact: true }).click();
    await heading('Policy');
    await page.getByText(/^None yet/).waitFor();
    await page.getByLabel('Blocked models').fill('gpt-4o');
    await page.getByLabel('Dollars per day').fill('-3');
    await page.keyboard.press('Enter');
    await page.getByText('A number, or empty.').waitFor();
    await page.getByLabel('Dollars per day').fill('2.50');
    await page.keyboard.press('Enter');
    await page.getByText(/^Last changed .* by usr_/).waitFor();
    const stored = (await gateway.get('/org/policy', { authorization: `Bearer ${admin_key}` })).body;
    assert.deepEqual([stored.blocked_models, stored.max_cost_per_day], [['gpt-4o'], 2.5]);
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

  test('a session that ended elsewhere leads to the login page', async () => {
    await open('models');
    await log_in(kAdmin);
    await heading('Models');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await heading('Log in to Asahi');
    await log_in(kAdmin);
    await heading('Models');
    only_refusals();
  });

  test('a viewer is not shown what a viewer may not do, and is told by its address', async () => {
    await open();
    await log_in(kViewer);
    await heading('Overview');
    for (const name of ['Access', 'Policy', 'Audit', 'Cache']) assert.equal(await page.getByRole('link', { name, exact: true }).count(), 0, name);
    await page.goto(`${gateway.url}/#/access`);
    await page.getByText('The keys could not be listed').waitFor();
    await page.getByText(/ask an admin of your organisation/).waitFor();
    only_refusals();
  });

  test('a key logs the tab in, a wrong one does not', async () => {
    await open();
    await page.getByLabel('API key', { exact: true }).fill('ask_acme_wrong');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('The gateway refuses this key').waitFor();
    await page.getByLabel('API key', { exact: true }).fill(admin_key);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await heading('Overview');
    assert.match(await menu().innerText(), /acme · API key/);
    assert.equal(await page.evaluate((key) => JSON.stringify(localStorage).includes(key), admin_key), false);
    assert.equal((await page.context().cookies()).length, 0);
    await menu().click();
    await page.getByRole('menuitem', { name: 'Log out' }).click();
    await heading('Log in to Asahi');
    assert.equal(await page.evaluate(() => sessionStorage.getItem('asahi.api-key')), null);
    only_refusals();
  });

  test('the logins of the organisation are offered', async () => {
    const provider = { id: 'okta', name: 'Okta', type: 'oidc', login_url: '/auth/oidc/okta/login' };
    await open('about');
    await page.route('**/auth/providers', (route) => route.fulfill({ json: { providers: [provider] } }));
    await page.goto(`${gateway.url}/#/audit`);
    await page.reload();
    const link = page.getByRole('link', { name: 'Log in with Okta' });
    await link.waitFor();
    assert.equal(await link.getAttribute('href'), `${gateway.url}/auth/oidc/okta/login?return_to=${encodeURIComponent('/#/audit')}`);
    await accessible();
    only_refusals();
  });

  test('the pages fit 320 px in the dark and work by keyboard', async () => {
    await open('', { viewport: { width: 320, height: 700 }, colorScheme: 'dark', reducedMotion: 'reduce' });
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
    await heading('Overview');
    for (const name of ['Access', 'Policy', 'Audit']) {
      await page.getByRole('button', { name: 'Open menu' }).focus();
      await page.keyboard.press('Enter');
      await dialog().getByRole('link', { name, exact: true }).focus();
      await page.keyboard.press('Enter');
      await heading(name);
      await until(async () => (await dialog().count()) === 0, { what: 'the menu to close', timeout_ms: kLimitMs });
      await until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, { what: `${name} to load`, timeout_ms: kLimitMs });
      await fits(name.toLowerCase());
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

  test('pictures', { skip: process.env.ASAHI_SCREENSHOTS ? false : 'set ASAHI_SCREENSHOTS to a folder' }, async () => {
    const authorization = { authorization: `Bearer ${admin_key}` };
    for (const [name, scopes, more] of [
      ['web shop', ['infer'], { allowed_models: ['gpt-4o-mini'], rate_limit_per_minute: 600 }],
      ['reports', ['analytics'], { expires_in_days: 30 }],
      ['support desk', ['infer', 'analytics'], { tokens_per_minute: 200000 }],
    ]) {
      assert.equal((await gateway.post('/governance/api-keys', { name, scopes, ...more }, authorization)).status, 201);
    }
    await open();
    await heading('Log in to Asahi');
    await save_picture(page, 'login');
    await log_in(kAdmin);
    await heading('Overview');
    for (const name of ['access', 'audit', 'policy']) {
      await page.goto(`${gateway.url}/#/${name}`);
      await heading(name[0].toUpperCase() + name.slice(1));
      if (name === 'audit') {
        await page.getByRole('button', { name: 'Verify' }).click();
        await page.getByText(/^The chain is whole/).waitFor();
        await page.getByRole('button', { name: /^Details of api_key.create/ }).first().click();
      }
      await until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, { what: `${name} to load`, timeout_ms: kLimitMs });
      await save_picture(page, name);
    }
  });

  test('too many failures are held back, with the wait', async () => {
    await open();
    // The gateway's own waits begin with a second, too short to be read on a slow machine.
    const held = { error: 'auth_locked_out', message: 'too many failed logins; wait before the next attempt', details: {}, retry_after_seconds: 90 };
    await page.route('**/auth/login', (route) => route.fulfill({ status: 429, json: held }));
    await log_in(kViewer);
    await page.getByText('Too many failed attempts').waitFor();
    await page.getByText(/Try again in 1 min (30|29|28) s/).waitFor();
    only_refusals();
  });
});
