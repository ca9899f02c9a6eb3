/** The dashboard in a real browser against the real binary with its built-in vendor; ASAHI_BIN names the binary. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, save_picture } from './browser.mjs';
import { seed } from './seed.mjs';

const kPages = {
  '': 'Dashboard',
  inference: 'Inference',
  models: 'Models',
  cache: 'Cache',
  'governance/audit': 'Audit Log',
  'governance/keys': 'API Keys',
  'governance/policies': 'Policies',
  alerts: 'Alerts',
  settings: 'Settings',
  start: 'Getting started',
};

describe('dashboard', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const start_mock = () => start_gateway({ env: { ASAHI_MOCK: 'true', ASAHI_PROVIDERS_MAX_ATTEMPTS: '1' } });
  /** Whatever the pages complained about; each test must leave it empty. */
  const complaints = [];

  before(async () => {
    gateway = await start_mock();
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

  /** Opens a page afresh by its address and waits for its heading and its data. */
  async function go(path) {
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/${path}`);
    await page.getByRole('heading', { level: 1, name: kPages[path] }).waitFor();
    await until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, {
      what: `${kPages[path]} to have its data`,
      timeout_ms: kLimitMs,
    });
  }

  const picture = (name) => save_picture(page, name);
  const send = () => page.getByRole('button', { name: 'Send', exact: true }).click();
  const facts = () => page.getByLabel('Figures', { exact: true }).innerText();
  const answered = (state) => page.getByText(state, { exact: true }).first().waitFor();
  const toast = (text) => page.getByText(text).waitFor();
  const no_complaints = () => assert.deepEqual(complaints, []);

  test('before the first request the overview says how to make one, and notices it', async () => {
    await go('');
    const command = await page.getByLabel('curl example').innerText();
    assert.ok(command.startsWith(`curl ${gateway.url}/infer`), command);
    await page.getByText('Listening; it appears here by itself.').waitFor();
    await gateway.infer('What is the capital of France?');
    await page.getByText(/none failed/).waitFor();
    no_complaints();
  });

  test('a prompt is answered word by word, and the same prompt again by the cache for nothing', async () => {
    await go('inference');
    await page.getByLabel('Prompt', { exact: true }).fill('How do tides work?');
    await send();
    await answered('Miss');
    await page.getByText('This is the mock answer').waitFor();
    assert.match(await facts(), /Cost\s+\$0\.0000\d\d/);
    assert.match(await page.getByLabel('Facts', { exact: true }).innerText(), /Autopilot: task .* best quality per dollar/);

    await send();
    await answered('Exact hit');
    assert.match(await facts(), /Cost\s+\$0\s+from the cache/);
    assert.match(await facts(), /100% of the baseline/);
    assert.equal(await page.getByRole('region', { name: 'Recent runs' }).last().getByRole('row').count(), 3);
    no_complaints();
  });

  test('chat completions work too, with the model named, streamed and whole', async () => {
    await go('inference');
    await page.getByRole('radio', { name: 'Chat completions' }).check();
    await page.getByRole('radio', { name: 'Explicit' }).check();
    await page.getByLabel('Model', { exact: true }).selectOption('gpt-4o-mini');
    await page.getByLabel('Prompt', { exact: true }).fill('Name a river');
    await send();
    await page.getByText('This is the mock answer of gpt-4o-mini').waitFor();
    await answered('Miss');
    await page.getByText('System prompt and options').click();
    await page.getByRole('switch', { name: 'Stream' }).click();
    await page.getByLabel('System prompt').fill('Be brief');
    await send();
    await until(async () => (await page.getByText('Miss', { exact: true }).count()) >= 3, { what: 'the second answer', timeout_ms: kLimitMs });
    no_complaints();
  });

  test('an answer that breaks off keeps its words and says why', async () => {
    await go('inference');
    await page.getByRole('radio', { name: 'Explicit' }).check();
    await page.getByLabel('Model', { exact: true }).selectOption('gpt-4o-mini');
    await page.getByLabel('Prompt', { exact: true }).fill('Name a lake [[mock:cut]]');
    await send();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /The answer broke off\s+the mock vendor broke off/);
    assert.match(await page.getByTestId('answer').innerText(), /^This is the mock/);
    no_complaints();
  });

  test('a request that waits can be cancelled', async () => {
    await go('inference');
    await page.getByLabel('Prompt', { exact: true }).fill('Name a sea [[mock:timeout]]');
    await send();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText(/^Cancelled\. What had come/).waitFor();
    no_complaints();
  });

  test('the overview adds up what was asked', async () => {
    await seed(gateway.url);
    const { total_requests: all } = (await gateway.get('/metrics')).body;
    const current = await until(
      async () => {
        const figures = (await gateway.get('/analytics/overview')).body.data.current;
        return figures.requests === all && figures;
      },
      { what: 'all requests in the analytics', timeout_ms: kLimitMs },
    );
    await go('');
    const shown = await page.getByRole('main').innerText();
    for (const figure of [`${current.requests}`, `${current.errors} failed`]) assert.ok(shown.includes(figure), `${figure}: ${shown.slice(0, 600)}`);
    assert.equal(await page.getByRole('region', { name: 'Recent inferences' }).last().getByRole('row').count(), 11);
    no_complaints();
  });

  test('the models can be searched, filtered and sorted', async () => {
    await go('models');
    const rows = page.getByRole('region', { name: 'Models with prices and limits' }).getByRole('row');
    const all = await rows.count();
    await page.getByLabel('Search models').fill('claude');
    await until(async () => (await rows.count()) < all, { what: 'fewer rows', timeout_ms: kLimitMs });
    assert.ok((await rows.allInnerTexts()).slice(1).every((row) => row.includes('claude')));
    await page.getByRole('button', { name: 'Output' }).click();
    await page.getByRole('button', { name: 'Output' }).click();
    assert.match((await rows.allInnerTexts())[1], /opus/);
    await page.getByLabel('Search models').fill('no such model');
    await page.getByText('No model matches').waitFor();
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await until(async () => (await rows.count()) === all, { what: 'all rows', timeout_ms: kLimitMs });
    no_complaints();
  });

  test('the cache lists and exports its entries, and is cleared only after the word was typed', async () => {
    await go('cache');
    await page.getByText('How do tides work?').first().waitFor();
    await page.getByRole('button', { name: 'Export' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('dialog').getByRole('button', { name: 'Export' }).click();
    assert.equal((await download).suggestedFilename(), 'asahi-cache.json');
    await toast('Saved asahi-cache.json.');

    await page.getByRole('button', { name: 'Remove expired' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove expired' }).click();
    await toast('Removed 0 entries.');

    await page.getByRole('button', { name: 'Clear the cache' }).click();
    const confirm = page.getByRole('dialog').getByRole('button', { name: 'Clear the cache' });
    assert.ok(await confirm.isDisabled(), 'one click clears the cache');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.ok((await gateway.get('/cache/stats')).body.entries > 0);

    await page.getByRole('button', { name: 'Clear the cache' }).click();
    await page.getByLabel('Type “clear” to confirm').fill('clear');
    await confirm.click();
    await page.getByText('Nothing is stored yet').waitFor();
    assert.equal((await gateway.get('/cache/stats')).body.entries, 0);
    no_complaints();
  });

  test('the first steps name this gateway, and the links lead to its documents', async () => {
    await go('start');
    await page.getByRole('tab', { name: 'Anthropic · Python' }).click();
    assert.ok((await page.getByLabel('Anthropic · Python example').innerText()).includes(`base_url="${gateway.url}"`));
    for (const path of ['/docs', '/openapi.json']) {
      await page.locator(`main a[href="${gateway.url}${path}"]`).waitFor();
      assert.equal((await gateway.get(path)).status, 200);
    }
    no_complaints();
  });

  test('the API key is sent as a bearer token and ends with the tab', async () => {
    const { api_key } = (await gateway.post('/governance/api-keys', { scopes: ['admin'] })).body;
    await go('');
    await page.getByRole('link', { name: /^open: authentication is off/ }).waitFor();
    assert.equal(await page.getByRole('button', { name: /^Account/ }).count(), 0);
    await page.getByRole('button', { name: 'Connection: no API key' }).click();
    await page.getByLabel('API key', { exact: true }).fill(api_key);
    const sent = page.waitForRequest((request) => request.headers().authorization === `Bearer ${api_key}`);
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await sent;
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('ask_')), false);
    // Out again: an open gateway needs no login.
    await page.getByRole('button', { name: /^Account: Key ask_/ }).click();
    await page.getByRole('menuitem', { name: 'Log out' }).click();
    await page.getByRole('button', { name: 'Connection: no API key' }).waitFor();
    no_complaints();
  });

  test('a key that is refused can be forgotten', async () => {
    await go('models');
    await page.evaluate(() => sessionStorage.setItem('asahi.api-key', 'ask_wrong'));
    await page.reload();
    await page.getByText('The API key of this tab is refused').waitFor();
    await page.getByRole('button', { name: 'Forget the key' }).click();
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor();
    assert.ok(complaints.every((text) => text.includes('401')), complaints.join('\n'));
  });

  test('the table of the cache needs no sideways scrolling on a desktop', async () => {
    await gateway.infer(`What is meant by this? ${'A question that goes on. '.repeat(20)}`);
    await go('cache');
    const table = page.getByRole('region', { name: 'Stored answers' });
    const [inner, outer] = await table.evaluate((region) => [region.scrollWidth, region.clientWidth]);
    assert.ok(inner <= outer, `${inner} px in ${outer}`);
    no_complaints();
  });

  test('an outage is said with a way to try again', async () => {
    await page.route('**/models', (route) => route.fulfill({ status: 500, json: { error: 'internal_server_error', message: 'the registry fell over' } }));
    await page.goto('about:blank');
    await page.goto(`${gateway.url}/#/models`);
    await page.getByText('the registry fell over').waitFor();
    await page.unroute('**/models');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText(/^\d+ of \d+ models$/).waitFor();
    assert.ok(complaints.every((text) => text.includes('500')), complaints.join('\n'));
  });

  test('every page works at 360 px in the dark, from the menu, by keyboard', async () => {
    await open_page({ viewport: { width: 360, height: 800 }, colorScheme: 'dark', reducedMotion: 'reduce' });
    await go('');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    for (const [path, title] of Object.entries(kPages)) {
      await page.getByRole('button', { name: 'Open menu' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByRole('link', { name: title, exact: true }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: title }).waitFor();
      await until(async () => (await page.getByRole('dialog').count()) === 0, { what: 'the menu to close', timeout_ms: kLimitMs });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${title} is ${width} px wide`);
      assert.equal(await page.title(), `${title} · Asahi`);
      await picture(`phone-${path.replace('/', '-') || 'overview'}`);
    }
    no_complaints();
  });

  test('the theme that was chosen stays', async () => {
    await page.getByRole('button', { name: 'Theme' }).click();
    await page.getByRole('menuitemradio', { name: 'Light' }).click();
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
    no_complaints();
  });
});
