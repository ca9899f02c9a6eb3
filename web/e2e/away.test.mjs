/** The gateway goes away and comes back while the dashboard is open. ASAHI_BIN names the binary. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { restart_gateway, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { free_port, stop_everything } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, launch, new_page, save_picture, settled } from './browser.mjs';
import { seed } from './seed.mjs';

const kOutage = /ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE|ERR_FAILED|^PageAway|Failed to (load|fetch)/;

describe('a gateway that is away', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    browser = await launch();
    gateway = await start_gateway({ env: { ASAHI_MOCK: 'true', ASAHI_PORT: `${await free_port()}` } });
    await seed(gateway.url);
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function open() {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, { ahead: true, viewport: kDesktop, colorScheme: 'light' });
  }
  const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  const marked = (name) => page.evaluate((mark) => performance.getEntriesByName(mark).length > 0, name);
  const only_the_outage = () => assert.ok(complaints.every((text) => kOutage.test(text)), complaints.join('\n'));

  test('the pages that were never opened open all the same, because they were fetched ahead', async () => {
    await open();
    await page.goto(`${gateway.url}/#/`);
    await heading('Dashboard');
    await until(() => marked('asahi:preloaded'), { what: 'the pages to be fetched', timeout_ms: 2 * kLimitMs });
    await gateway.stop();
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    const names = await links.allInnerTexts();
    assert.ok(names.length >= 15, names.join());
    for (const name of names) {
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
      await heading(name);
      assert.equal(await page.getByText(/^This page (could not be loaded|failed to draw)/).count(), 0, name);
    }
    await page.getByText('The gateway does not answer.').waitFor();
    gateway = await restart_gateway(gateway);
    await page.getByText('The gateway is back.').waitFor({ timeout: 2 * kLimitMs });
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Models', exact: true }).click();
    await page.getByText(/^\d+ of \d+ models$/).waitFor();
    only_the_outage();
  });

  test('fetching ahead waits until the first page stands, and what the first page loads stays small', async () => {
    await open();
    await page.goto(`${gateway.url}/#/`);
    await heading('Dashboard');
    await settled(page, 'Dashboard');
    await until(() => marked('asahi:preloaded'), { what: 'the pages to be fetched', timeout_ms: 2 * kLimitMs });
    const { begin, painted, ahead } = await page.evaluate(() => {
      const at = performance.getEntriesByName('asahi:preload')[0].startTime;
      const scripts = performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'));
      return { begin: at, painted: performance.getEntriesByName('first-contentful-paint')[0].startTime, ahead: scripts.filter(({ startTime }) => startTime >= at).length };
    });
    assert.ok(begin > painted + 1_000, `${begin} ms, first paint at ${painted} ms`);
    assert.ok(ahead >= 15, `${ahead} files came later`);
  });

  test('a page that was not fetched in time says so, and opens when the gateway is back', async () => {
    await open();
    let away = true;
    const unless_away = (route) => (away ? route.abort() : route.fallback());
    await page.context().route(/\/assets\/models-page-.*\.js$/, unless_away);
    await page.goto(`${gateway.url}/#/`);
    await heading('Dashboard');
    // Where the pages come out of a folder they would come although the gateway is away.
    await page.context().route(`${gateway.url}/`, unless_away);
    await gateway.stop();
    await page.getByRole('link', { name: 'Models', exact: true }).click();
    await heading('Page not loaded');
    await page.getByText('This page could not be loaded').waitFor();
    assert.equal(await page.getByRole('navigation', { name: 'Pages' }).count(), 1, 'the frame is gone');
    assert.deepEqual(await faults_of(page), []);
    await save_picture(page, 'page-away');
    await page.getByRole('button', { name: 'Retry' }).click();
    await heading('Page not loaded');
    await page.getByRole('link', { name: 'Dashboard', exact: true }).click();
    await heading('Dashboard');
    await page.getByRole('link', { name: 'Models', exact: true }).click();
    await heading('Page not loaded');
    away = false;
    gateway = await restart_gateway(gateway);
    await page.getByText(/^\d+ of \d+ models$/).waitFor({ timeout: 3 * kLimitMs });
    only_the_outage();
  });
});
