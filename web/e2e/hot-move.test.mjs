/** The hot tier on its way to another backend: what the page shows is what the API says, what is asked for is done. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, failing_with, launch, new_page, open_page, save_picture, with_answer } from './browser.mjs';
import { push_memories } from './memories.mjs';

const kFault = 'the database fell over';

describe('the backend of the hot tier', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    [gateway, browser] = await Promise.all([start_gateway({ env: { ASAHI_MOCK: 'true' } }), launch()]);
    await push_memories(gateway);
    page = await new_page(browser, gateway.url, complaints, { viewport: kDesktop, colorScheme: 'light' });
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  const open = (path) => open_page(page, gateway.url, path);
  const with_route = (pattern, answer, run) => with_answer(page, gateway.url + pattern, answer, run);
  const failing = failing_with(kFault);
  const panel = () => page.getByRole('dialog');
  const no_complaints = (allowed = /^$/) => assert.deepEqual(complaints.filter((text) => !allowed.test(text)), []);
  const kPath = '/memory/storage/hot/backend';
  const card = () => page.getByRole('region', { name: 'Backend of the hot tier' });
  const button = (name) => card().getByRole('button', { name });
  async function status() {
    const reply = await gateway.get(kPath);
    assert.equal(reply.status, 200, reply.text);
    return reply.body;
  }
  const in_phase = (phase) => until(async () => (await status()).move?.phase === phase && status(), { what: `the move to be ${phase}`, timeout_ms: kLimitMs });
  async function begin(folder, replace) {
    await button('Move the hot tier…').click();
    await panel().getByLabel('To', { exact: true }).selectOption('duckdb-ssd');
    await panel().getByLabel('Folder').fill(folder);
    if (replace) await panel().getByRole('switch', { name: /^Replace/ }).click();
    await panel().getByRole('button', { name: 'Begin' }).click();
  }

  test('moves where it is told to, says how far it is, and comes back after a question', async () => {
    const folder = temp_folder('next-hot');
    const { backend } = await status();
    await open('memory/tiers');
    await card().getByText(`Now: own log, ${backend.path}.`).waitFor();
    await card().getByText('It has not moved.', { exact: false }).waitFor();
    await begin('not/absolute');
    await panel().getByRole('alert').getByText(/path/).waitFor();
    await panel().getByLabel('Window in days').fill('366');
    await panel().getByText('A whole number from 0 to 365, or empty.').waitFor();
    assert.ok(await panel().getByRole('button', { name: 'Begin' }).isDisabled());
    assert.deepEqual(await faults_of(page), []);
    await panel().getByRole('button', { name: 'Not now' }).click();
    assert.equal((await status()).move, null);

    await begin(folder);
    await page.getByText('The move has begun.').waitFor();
    const { move } = await in_phase('window');
    await page.getByText('All of it is on the new backend.').waitFor();
    const facts = await card().innerText();
    const told = ['window', 'Both are written', `From\nown log, ${backend.path}`, `To\nown log, ${folder}`, `${move.copied.toLocaleString('en-US')} memories, each read back and compared`, 'Read now\nthe new backend', 'Window ends'];
    for (const words of told) assert.ok(facts.includes(words), `${words} is missing in ${facts}`);
    assert.deepEqual(await faults_of(page), []);
    await save_picture(page, 'hot-move');
    await button('Take it back…').click();
    await panel().getByRole('button', { name: 'Not now' }).click();
    assert.equal((await status()).move.phase, 'window');
    await button('Take it back…').click();
    await with_route(`${kPath}/revert`, failing, async () => {
      await panel().getByRole('button', { name: 'Take it back' }).click();
      await panel().getByRole('alert').getByText(kFault).waitFor();
    });
    await panel().getByRole('button', { name: 'Take it back' }).click();
    await page.getByText('The old backend is alone again.', { exact: true }).waitFor();
    assert.deepEqual([(await status()).move.phase, (await status()).backend], ['reverted', backend]);

    // What the first move left there goes only if that is said.
    await begin(folder);
    await panel().getByRole('alert').getByText(/replace/).waitFor();
    await panel().getByRole('switch', { name: /^Replace/ }).click();
    await panel().getByRole('button', { name: 'Begin' }).click();
    await in_phase('window');
    await button('Finish now…').click();
    await panel().getByRole('button', { name: 'Finish now' }).click();
    await page.getByText('The new backend is alone.', { exact: true }).first().waitFor();
    await card().getByText(`Now: own log, ${folder}.`).waitFor();
    assert.equal((await status()).backend.path, folder);
    await button('Move the hot tier…').waitFor();
    no_complaints(new RegExp(`status of (400|409|500).*${kPath}`));
  });

  test('a copy under way tells its share and what holds it up; it can be taken back, not finished', async () => {
    const now = await status();
    const move = { ...now.move, phase: 'copying', to: { backend: 'pgvector', pg_url_env: 'NEXT' }, copied: 300, repaired: 2, window_since: null, revert_until: null, ended_at: null, reason: null };
    let told = { ...now, reads: 'old', writings_left: 100, error: 'the database does not answer', move };
    await with_route(kPath, (route) => route.fulfill({ json: told }), async () => {
      await open('memory/tiers');
      await card().getByText('≈ 75% is on the new backend.').waitFor();
      await page.getByRole('progressbar', { name: 'Share on the new backend' }).waitFor();
      await card().getByText('the database does not answer').waitFor();
      await card().getByText('PostgreSQL, $NEXT').waitFor();
      await card().getByText('300 memories, each read back and compared; 2 made anew').waitFor();
      await button('Take it back…').waitFor();
      assert.deepEqual([await button('Finish now…').count(), await button('Move the hot tier…').count()], [0, 0]);
      assert.deepEqual(await faults_of(page), []);
      told = { ...told, reads: null, writings_left: null, error: null, move: { ...move, phase: 'aborted', ended_at: new Date().toISOString(), reason: 'the counts differ' } };
      await card().getByText('the counts differ', { exact: false }).waitFor();
      await button('Move the hot tier…').waitFor();
    });
    no_complaints();
  });

  test('only who operates the installation sees it, and nobody where other processes keep the tier', async () => {
    const me = (await gateway.get('/auth/me')).body;
    const asked = [];
    const count = (route) => (asked.push(route.request().url()), route.fallback());
    for (const caller of [{ ...me, permissions: me.permissions.filter((name) => name !== 'manage_tenants') }, { ...me, systems: ['ci-agent'] }]) {
      await with_route('/auth/me', (route) => route.fulfill({ json: caller }), async () => {
        await with_route(kPath, count, async () => {
          await open('memory/tiers');
          await page.getByRole('heading', { name: 'Runs' }).waitFor();
          assert.equal(await card().count(), 0);
        });
      });
    }
    assert.deepEqual(asked, []);
    const elsewhere = (route) => route.fulfill({ json: { backend: null, move: null, reads: null, writings_left: null, error: null, circuit: null } });
    await with_route(kPath, elsewhere, async () => {
      await open('memory/tiers');
      await until(async () => (await card().count()) === 0, { what: 'the card to go', timeout_ms: kLimitMs });
    });
    no_complaints();
  });
});
