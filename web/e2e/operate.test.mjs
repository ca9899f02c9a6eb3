/** The frame of the dashboard and the pages of those who run the gateway, in a real browser against real gateways. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { restart_gateway, run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { free_port, stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, save_picture } from './browser.mjs';

const kPhone = { viewport: { width: 320, height: 700 }, colorScheme: 'dark', reducedMotion: 'reduce' };
const kWelcome = 'The same answers, for a fraction of the price';

describe('running the gateway from the dashboard', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    browser = await launch();
    // The month of `asahi demo`, so that there is something to look at. Its last hour is unusual.
    const folder = temp_folder('operate');
    const demo = await run_asahi(['demo', '--events', '20000'], { folder, timeout_ms: 120_000 });
    assert.equal(demo.code, 0, demo.stderr);
    gateway = await start_gateway({ folder, env: { ASAHI_MOCK: 'true', ASAHI_PORT: `${await free_port()}`, ASAHI_CACHE_TIER2_ENABLED: 'true' } });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function open(path, options = {}, base = gateway.url) {
    await page?.context().close();
    page = await new_page(browser, base, complaints, { viewport: kDesktop, colorScheme: 'light', ...options });
    await page.goto(`${base}/#/${path}`);
  }
  const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  const loaded = () =>
    until(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0, { what: 'everything to load', timeout_ms: kLimitMs });
  const dialog = () => page.getByRole('dialog');
  const accessible = async () => assert.deepEqual(await faults_of(page), []);
  const no_complaints = () => assert.deepEqual(complaints, []);
  const fits = async (pixels) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= pixels, `${await page.title()} is ${width} px wide`);
  };

  describe('the frame', () => {
    test('the sidebar has the pages in their order, and tells which one is open', async () => {
      await open('governance/keys');
      await heading('API Keys');
      const links = await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts();
      const order = ['Dashboard', 'Inference', 'Cache', 'Analytics', 'Cost', 'Trends', 'Forecast', 'Requests', 'Live', 'Models', 'Audit Log', 'API Keys', 'Policies', 'Alerts', 'Settings'];
      // Pages of analytics come with their own tests.
      assert.deepEqual(links.filter((link) => order.includes(link)), order.filter((name) => links.includes(name)));
      for (const name of ['Dashboard', 'Inference', 'Cache', 'Models', 'Audit Log', 'API Keys', 'Policies', 'Alerts', 'Settings']) assert.ok(links.includes(name), name);
      assert.equal(await page.getByRole('link', { name: 'API Keys', exact: true }).getAttribute('aria-current'), 'page');
      assert.equal(await page.locator('aside').first().evaluate((aside) => aside.getBoundingClientRect().width), 256);
      no_complaints();
    });

    test('Ctrl-K finds pages and commands by their words, by keyboard alone', async () => {
      await open('models');
      await heading('Models');
      const open_palette = async () => {
        const field = page.getByRole('combobox', { name: 'Find a page or command' });
        await until(
          async () => {
            // A page that just arrived may take the focus, which closes what was opened before.
            if ((await field.count()) === 0) await page.keyboard.press('Control+k');
            return field.evaluate((input) => input === document.activeElement, undefined, { timeout: 1_000 }).catch(() => false);
          },
          { what: 'the field to have the focus', timeout_ms: kLimitMs },
        );
      };
      await open_palette();
      await page.keyboard.type('limits');
      await until(async () => (await page.getByRole('option').first().innerText()).includes('Policies'), { what: 'the page to be found', timeout_ms: kLimitMs });
      await accessible();
      await save_picture(page, 'palette');
      await page.keyboard.press('Enter');
      await heading('Policies');
      await open_palette();
      await page.keyboard.type('dark');
      await page.keyboard.press('Enter');
      await until(() => page.evaluate(() => document.documentElement.dataset.theme === 'dark'), { what: 'the dark theme', timeout_ms: kLimitMs });
      await open_palette();
      await page.keyboard.type('no such thing');
      await page.getByText('Nothing is called that.').waitFor();
      await page.keyboard.press('Escape');
      await dialog().waitFor({ state: 'detached' });
      no_complaints();
    });

    test('g and a letter goes to a page, ? explains, and neither disturbs typing', async () => {
      await open('');
      await heading('Dashboard');
      await page.keyboard.press('g');
      await page.keyboard.press('n');
      await heading('Alerts');
      await page.keyboard.press('?');
      await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
      await accessible();
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      await page.keyboard.press('Escape');
      await heading('Alerts');
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      await heading('Settings');
      const search = page.getByLabel('Search settings');
      await search.fill('');
      await search.pressSequentially('gn?');
      assert.equal(await search.inputValue(), 'gn?');
      await heading('Settings');
      no_complaints();
    });

    test('addresses of before still lead to their pages', async () => {
      await open('access');
      await heading('API Keys');
      await open('policy');
      await heading('Policies');
      await open('audit');
      await heading('Audit Log');
      no_complaints();
    });

    test('a gateway that goes away is said at once, and everything comes back with it', async () => {
      await open('governance/policies', { ahead: true });
      await heading('Policies');
      await loaded();
      await page.getByLabel('Dollars per request').fill('0.5');
      // The dialogs come soon after the first picture; away.test.mjs has who is faster.
      await page.waitForFunction(() => performance.getEntriesByName('asahi:preloaded').length > 0);
      await gateway.stop();
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.getByText('The gateway does not answer.').waitFor();
      await page.getByRole('button', { name: 'Review changes' }).click();
      await dialog().getByRole('button', { name: 'Save policy' }).click();
      await dialog().getByText('The policy was not saved').waitFor();
      await save_picture(page, 'away');
      gateway = await restart_gateway(gateway);
      await page.getByText('The gateway is back.').waitFor();
      assert.equal(await page.getByText('The gateway does not answer.').count(), 0);
      await dialog().getByRole('button', { name: 'Save policy' }).click();
      await page.getByText('The policy is saved').waitFor();
      assert.equal((await gateway.get('/org/policy')).body.max_cost_per_request, 0.5);
      assert.ok(complaints.every((text) => /ERR_CONNECTION|Failed to fetch|net::/.test(text)), complaints.join('\n'));
    });
  });

  describe('alerts', () => {
    test('what is unusual is shown with what is usual, and what would save money can be dismissed', async () => {
      await open('alerts');
      await heading('Alerts');
      await loaded();
      const anomalies = (await gateway.get('/analytics/anomalies')).body.data;
      const region = page.getByRole('region', { name: 'Anomalies' });
      assert.ok(anomalies.some(({ anomaly_type }) => anomaly_type === 'cost_spike'), JSON.stringify(anomalies));
      assert.equal(await region.getByRole('listitem').count(), anomalies.length);
      await region.getByRole('heading', { name: 'Cost per request' }).waitFor();
      await region.getByText(anomalies[0].message).waitFor();
      const found = (await gateway.get('/analytics/recommendations?period=month')).body.data;
      assert.ok(found.length > 0);
      const cards = page.getByRole('region', { name: 'Recommendations' }).getByRole('listitem');
      assert.equal(await cards.count(), found.length);
      await accessible();
      await save_picture(page, 'alerts');
      await page.getByRole('button', { name: `Dismiss: ${found[0].title}` }).click();
      await until(async () => (await cards.count()) === found.length - 1, { what: 'one card less', timeout_ms: kLimitMs });
      await page.reload();
      await page.getByRole('button', { name: 'Show 1 dismissed' }).click();
      await page.getByRole('button', { name: 'Bring back' }).click();
      await until(async () => (await cards.count()) === found.length, { what: 'the card to be back', timeout_ms: kLimitMs });
    });

    test('an anomaly leads to the requests behind it', async () => {
      await page.getByRole('link', { name: 'Requests behind it: Cost per request' }).click();
      await heading('Requests');
      await loaded();
      const search = new URL(page.url().replace('/#', '')).searchParams;
      const [from, to] = [search.get('from'), search.get('to')];
      assert.ok(Date.parse(to) - Date.parse(from) <= 3_600_000 + 60_000, `${from} to ${to}`);
      const { filter } = (await gateway.get('/analytics/anomalies')).body.data.find(({ anomaly_type }) => anomaly_type === 'cost_spike');
      const { data } = (await gateway.get(`/analytics/requests?${new URLSearchParams({ ...filter, from, to, limit: '50' })}`)).body;
      assert.ok(data.length > 0);
      const rows = page.getByRole('region', { name: 'Requests' }).last().getByRole('row');
      await until(async () => (await rows.count()) === data.length + 1, { what: `the ${data.length} requests from ${from} to ${to}`, timeout_ms: kLimitMs });
      await page.goBack();
      await heading('Alerts');
      await loaded();
    });

    test('one part that fails leaves the others', async () => {
      await page.context().route('**/analytics/anomalies', (route) => route.abort());
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.goto('about:blank');
      await page.goto(`${gateway.url}/#/alerts`);
      await page.getByText('The last hour could not be looked at').waitFor();
      await page.getByRole('region', { name: 'Recommendations' }).getByRole('listitem').first().waitFor();
      await page.context().unroute('**/analytics/anomalies');
      await page.getByRole('region', { name: 'Anomalies' }).getByRole('button', { name: 'Retry' }).click();
      await page.getByRole('heading', { name: 'Cost per request' }).waitFor();
    });
  });

  describe('settings', () => {
    test('what holds is shown with where it came from; secrets are not', async () => {
      await open('settings');
      await heading('Settings');
      await loaded();
      await page.getByLabel('Search settings').fill('asahi_port');
      const list = page.getByRole('region', { name: 'Every setting' });
      await list.getByText('api.port').waitFor();
      await list.getByText('ASAHI_PORT', { exact: true }).first().waitFor();
      await page.getByLabel('Search settings').fill('database.url');
      await list.getByText('***').waitFor();
      await page.getByLabel('Search settings').fill('no such setting');
      await list.getByText('No setting matches').waitFor();
      await page.getByLabel('Search settings').fill('');
      await accessible();
      await save_picture(page, 'settings');
      no_complaints();
    });

    test('every setting stands in a section that folds, by keyboard too', async () => {
      const list = page.getByRole('region', { name: 'Every setting' });
      const { settings } = (await gateway.get('/settings')).body;
      const names = [...new Set(settings.map(({ path }) => path.split('.')[0]))].sort();
      const heads = list.getByRole('heading', { level: 3 }).getByRole('button');
      assert.deepEqual((await heads.allInnerTexts()).map((text) => text.split(/\s/)[0]), names);
      assert.equal(await list.getByRole('listitem').count(), 0);
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      assert.ok(height < 4_000, `the page is ${height} px long`);

      const count = (name) => settings.filter(({ path }) => path.startsWith(`${name}.`)).length;
      await heads.first().focus();
      await page.keyboard.press('Enter');
      assert.equal(await heads.first().getAttribute('aria-expanded'), 'true');
      assert.equal(await list.getByRole('listitem').count(), count(names[0]));
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Space');
      assert.equal(await list.getByRole('listitem').count(), count(names[0]) + count(names[1]));
      await page.keyboard.press('End');
      assert.ok(await heads.last().evaluate((head) => head === document.activeElement));
      await accessible();
      await list.getByRole('button', { name: 'Open all' }).click();
      assert.equal(await list.getByRole('listitem').count(), settings.length);
      await list.getByRole('button', { name: 'Fold all' }).click();
      assert.equal(await list.getByRole('listitem').count(), 0);
      no_complaints();
    });

    test('a search looks at path, description and value, and opens what it finds', async () => {
      const list = page.getByRole('region', { name: 'Every setting' });
      const { settings } = (await gateway.get('/settings')).body;
      const search = page.getByLabel('Search settings');
      const help = settings.find(({ path }) => path === 'alerts.analysis_seconds').help;
      for (const text of ['analysis_seconds', help, `${gateway.port}`]) {
        await search.fill(text);
        const words = text.toLowerCase().split(' ');
        const wanted = settings.filter((setting) => words.every((word) => Object.values(setting).join(' ').toLowerCase().includes(word)));
        assert.ok(wanted.length >= 1 && wanted.length < 10, `${text}: ${wanted.length}`);
        await list.getByText(`${wanted.length} of ${settings.length} settings`).waitFor();
        assert.equal(await list.getByRole('listitem').count(), wanted.length);
        for (const { path } of wanted) await list.getByText(path, { exact: true }).waitFor();
      }
      // What the search opened can be folded, and comes open again with the next word.
      await search.fill('analysis_seconds');
      await list.getByRole('heading', { level: 3 }).getByRole('button').first().click();
      assert.equal(await list.getByRole('listitem').count(), 0);
      await search.fill('no such setting');
      await list.getByRole('button', { name: 'Clear the search' }).click();
      assert.equal(await search.inputValue(), '');
      no_complaints();
    });

    test('a section has an address of its own', async () => {
      const head = (name) => page.getByRole('region', { name: 'Every setting' }).locator(`#settings-${name}`).getByRole('button').first();
      const in_sight = (name) =>
        until(
          () => head(name).evaluate((button) => button.getAttribute('aria-expanded') === 'true' && button === document.activeElement && button.getBoundingClientRect().top >= 56 && button.getBoundingClientRect().bottom <= innerHeight),
          { what: `${name} to be open and in sight`, timeout_ms: kLimitMs },
        );
      await page.getByRole('link', { name: 'Link to redis' }).click();
      await in_sight('redis');
      assert.match(page.url(), /#\/settings#redis$/);
      await open('settings#observability');
      await in_sight('observability');
      await open('settings#no-such-section');
      await heading('Settings');
      await loaded();
      assert.equal(await page.getByRole('region', { name: 'Every setting' }).getByRole('listitem').count(), 0);
      await open('settings#observability', kPhone);
      await in_sight('observability');
      await fits(320);
      await accessible();
      no_complaints();
    });

    test('dates follow the timezone that was chosen, on every page and after a reload', async () => {
      const at = async () => (await page.getByRole('region', { name: 'Audit log' }).getByRole('row').nth(1).innerText()).match(/\d\d:\d\d/)[0];
      await open('governance/audit');
      await loaded();
      const utc = await at();
      await open('settings');
      await page.getByLabel('Timezone').selectOption('Asia/Tokyo');
      await page.goto(`${gateway.url}/#/governance/audit`);
      await page.reload();
      await loaded();
      const minutes = (time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
      assert.equal((minutes(await at()) - minutes(utc) + 1440) % 1440, 540);
      no_complaints();
    });

    test('the similarity that tier 2 wants is changed for a task, and refused beyond 1', async () => {
      await open('settings?tab=cache');
      await loaded();
      const field = page.getByLabel('coding, cost sensitivity high');
      await field.fill('1.5');
      await page.keyboard.press('Tab');
      assert.notEqual(await field.inputValue(), '1.5');
      await field.fill('0.97');
      await page.keyboard.press('Enter');
      await page.getByText('coding, high: similar from 0.97 on.').waitFor();
      assert.equal((await gateway.get('/cache/thresholds')).body.thresholds.coding.high, 0.97);
      await accessible();
      await save_picture(page, 'settings-cache');
      no_complaints();
    });

    test('the weights of routing are changed, and set back', async () => {
      await page.getByRole('tab', { name: 'Routing' }).click();
      await loaded();
      await page.getByLabel('Cost', { exact: true }).fill('0.6');
      await page.getByRole('button', { name: 'Save weights' }).click();
      await page.getByText('The weights are saved').waitFor();
      assert.equal((await gateway.get('/routing/weights')).body.weights.cost, 0.6);
      await accessible();
      await save_picture(page, 'settings-routing');
      await page.getByRole('button', { name: 'Usual weights' }).click();
      await page.getByRole('button', { name: 'Save weights' }).click();
      await until(async () => (await gateway.get('/routing/weights')).body.weights.cost === 0.25, { what: 'the usual weights', timeout_ms: kLimitMs });
      no_complaints();
    });

    test('keys are managed from there too', async () => {
      await page.getByRole('tab', { name: 'API Keys' }).click();
      await page.getByRole('button', { name: 'Create key' }).waitFor();
      await loaded();
      await accessible();
      await save_picture(page, 'settings-keys');
      no_complaints();
    });
  });

  test('the policies show use against limits and the month to come', async () => {
    await open('governance/policies');
    await loaded();
    const { max_cost_per_month } = (await gateway.get('/org/policy')).body;
    await page.getByText(`of $${max_cost_per_month.toLocaleString('en-US', { minimumFractionDigits: 2 })}`).first().waitFor();
    await accessible();
    await save_picture(page, 'policies-demo');
    no_complaints();
  });

  describe('an empty gateway', () => {
    let empty;
    before(async () => {
      empty = await start_gateway({ env: { ASAHI_MOCK: 'true' } });
    });

    test('greets with three steps, and the first request arrives by itself', async () => {
      await open('', {}, empty.url);
      await page.getByRole('heading', { name: 'Welcome. Three steps to the first answer' }).waitFor();
      await page.getByText('The mock vendor answers').waitFor();
      const command = await page.getByLabel('curl example').innerText();
      assert.ok(command.startsWith(`curl ${empty.url}/infer`), command);
      await page.getByText('Listening; it appears here by itself.').waitFor();
      await accessible();
      await save_picture(page, 'first-steps');
      await empty.infer('What is the capital of France?');
      await page.getByText(/^The first request is here/).waitFor();
      await page.getByRole('heading', { name: 'Welcome. Three steps to the first answer' }).waitFor({ state: 'detached' });
    });

    test('has alerts, keys and audit that say why they are empty', async () => {
      await open('alerts', {}, empty.url);
      await page.getByText('Nothing unusual').waitFor();
      await page.getByText('Too few requests to recommend anything').waitFor();
      await accessible();
      await save_picture(page, 'alerts-empty');
      await open('governance/keys', {}, empty.url);
      await page.getByText('No keys yet').waitFor();
      await accessible();
      await open('governance/audit', {}, empty.url);
      await page.getByText('Nothing is recorded yet').waitFor();
      await accessible();
    });
  });

  describe('a gateway that wants a login', () => {
    let closed;
    before(async () => {
      closed = await start_gateway({ env: { ASAHI_MOCK: 'true', ASAHI_AUTH_API_KEY_REQUIRED: 'true' } });
    });

    test('shows strangers the landing page, with its state, and the way in', async () => {
      await open('', {}, closed.url);
      await heading(kWelcome);
      assert.match(page.url(), /#\/welcome$/);
      await page.getByText(/^Engine healthy/).waitFor();
      assert.equal(await page.getByRole('navigation', { name: 'Pages' }).count(), 0);
      for (const name of ['Products', 'Docs', 'Customers', 'Resources', 'Pricing', 'Contact']) {
        await page.getByRole('navigation', { name: 'This page' }).getByText(name, { exact: true }).waitFor();
      }
      await accessible();
      await save_picture(page, 'welcome');
      await page.getByRole('button', { name: 'Pricing' }).click();
      await until(() => page.evaluate(() => document.activeElement?.id === 'pricing'), { what: 'the section to have the focus', timeout_ms: kLimitMs });
      assert.match(page.url(), /#\/welcome$/);
      await page.getByRole('banner').getByRole('link', { name: 'Login' }).click();
      await heading('Log in to Asahi');
      assert.deepEqual(complaints.filter((text) => !/status of 401/.test(text)), []);
    });

    test('the calculator says what its three numbers come to', async () => {
      await open('welcome', {}, closed.url);
      const sum = page.getByText('You would save about').locator('..');
      await page.getByLabel('Questions asked before').fill('0');
      await page.getByLabel('Of the rest, the easy ones').fill('0');
      await until(async () => (await sum.innerText()).includes('≈ $0'), { what: 'nothing to be saved', timeout_ms: kLimitMs });
      await page.getByLabel('Questions asked before').fill('0.5');
      await until(async () => /≈ \$2,500[\s\S]*50%/.test(await sum.innerText()), { what: 'half to be saved', timeout_ms: kLimitMs });
    });

    test('an organisation is founded, and its admin is inside', async () => {
      await open('signup', {}, closed.url);
      await heading('Found an organisation');
      await page.getByRole('button', { name: 'Sign up' }).click();
      await page.getByText('Name it.').waitFor();
      await page.getByLabel('Organisation').fill('Weiß & Söhne');
      await page.getByLabel('E-mail').fill('ida@example.com');
      await page.getByLabel('Password').fill('correct horse battery');
      await accessible();
      await page.getByRole('button', { name: 'Sign up' }).click();
      await heading('Dashboard');
      await page.getByRole('button', { name: /^Account: ida@example.com/ }).waitFor();
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('button', { name: 'Log out' }).click();
      await heading(kWelcome);
    });

    test('the public pages fit 320 px in the dark', async () => {
      for (const [path, title] of [['welcome', kWelcome], ['login', 'Log in to Asahi'], ['signup', 'Found an organisation']]) {
        await open(path, kPhone, closed.url);
        await heading(title);
        await fits(320);
        await accessible();
        await save_picture(page, `phone-${path}`);
      }
      await open('welcome', { colorScheme: 'dark' }, closed.url);
      await heading(kWelcome);
      await accessible();
      await save_picture(page, 'welcome-dark');
    });
  });

  test('browsers find the icon', async () => {
    const icon = await fetch(`${gateway.url}/favicon.ico`);
    assert.equal(icon.status, 200);
    assert.equal(icon.headers.get('content-type'), 'image/x-icon');
  });
});
