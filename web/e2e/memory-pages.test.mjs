/** Systems, ageing and graph on the real server: what is shown is what the API says, what is asked for is done. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';
import { faults_of } from './accessible.mjs';
import { kBrowser, kDesktop, kLimitMs, kPhone, failing_with, launch, new_page, open_page, save_picture, with_answer } from './browser.mjs';
import { bucket_of, facts_known, push_memories, uploads_done, write_uploads } from './memories.mjs';

const kFault = 'the database fell over';

describe('systems, ageing and graph', { skip: kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM" }, () => {
  let browser, gateway, page;
  const complaints = [];

  before(async () => {
    const bucket = temp_folder('bucket');
    write_uploads(bucket);
    [gateway, browser] = await Promise.all([start_gateway({ env: { ASAHI_MOCK: 'true', ...bucket_of(bucket) } }), launch()]);
    await push_memories(gateway);
    await uploads_done(gateway);
    await facts_known(gateway);
    await show();
  });
  after(async () => {
    await browser?.close();
    await stop_everything();
  });
  beforeEach(() => complaints.splice(0));

  async function show(options = { viewport: kDesktop, colorScheme: 'light' }) {
    await page?.context().close();
    page = await new_page(browser, gateway.url, complaints, options);
  }
  const open = (path) => open_page(page, gateway.url, path);
  const with_route = (pattern, answer, run) => with_answer(page, gateway.url + pattern, answer, run);
  const failing = failing_with(kFault);
  const ask = async (path) => {
    const reply = await gateway.get(`/memory${path}`);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    return reply.body;
  };
  const table = (name) => page.getByRole('region', { name, exact: true }).last();
  const cells = async (name) => (await table(name).getByRole('row').allInnerTexts()).slice(1).map((row) => row.split('\t').map((cell) => cell.trim()));
  const search = () => new URLSearchParams(page.url().split('?')[1]);
  const panel = () => page.getByRole('dialog');
  const sees = (read, wanted, what) => until(async () => JSON.stringify(await read()) === JSON.stringify(wanted), { what, timeout_ms: kLimitMs });
  const no_complaints = (allowed = /^$/) => assert.deepEqual(complaints.filter((text) => !allowed.test(text)), []);

  describe('systems', () => {
    const names = async () => (await cells('Systems')).map(([name]) => name);

    test('are those of the API, with their memories by tier; sorted and found by name', async () => {
      const { systems, total } = await ask('/systems');
      await open('memory/systems');
      const row = ({ system_id, records, uploads }) => [system_id, records.hot ?? 0, records.warm ?? 0, records.cold ?? 0, uploads].map(String);
      assert.deepEqual((await cells('Systems')).map(([name, , ...numbers]) => [name, ...numbers.slice(0, 4)]), systems.map(row));
      const memories = Object.values((await ask('/storage/status')).tiers).reduce((sum, tier) => sum + tier.records, 0);
      await page.getByText(`${memories}`, { exact: true }).first().waitFor();
      await page.getByRole('button', { name: 'Hot', exact: true }).click();
      await page.getByRole('button', { name: 'Hot', exact: true }).click();
      const most = Math.max(...systems.map(({ records }) => records.hot ?? 0));
      assert.equal((await cells('Systems'))[0][2], String(most));
      await page.getByLabel('Find a system').fill('NOTES');
      await sees(async () => (await names()).sort(), ['oncall-notes', 'team-notes'], 'those with such a name');
      await page.getByLabel('Find a system').fill('nobody-at-all');
      await page.getByText('No system matches').waitFor();
      await page.getByRole('button', { name: 'Show all' }).click();
      await until(async () => (await names()).length === total, { what: 'all of them', timeout_ms: kLimitMs });
      assert.deepEqual(await faults_of(page), []);
      no_complaints();
    });

    test('one opens with its tiers, what it sent last and what went wrong with that; its links lead to its memories and uploads', async () => {
      await open('memory/systems');
      await page.getByRole('button', { name: 'ci-agent', exact: true }).click();
      assert.equal(search().get('system'), 'ci-agent');
      const { uploads } = await ask('/uploads?system_id=ci-agent&limit=8');
      const items = panel().getByRole('list', { name: 'Last uploads' }).getByRole('listitem');
      await until(async () => (await items.count()) === uploads.length, { what: 'its uploads', timeout_ms: kLimitMs });
      const bad = uploads.find(({ state }) => state === 'rejected');
      await panel().getByText(bad.error).waitFor();
      const { records } = await ask('/systems/ci-agent');
      assert.match(await panel().getByRole('list', { name: 'Memories by tier' }).innerText(), new RegExp(`Hot\\s+${records.hot}`));
      assert.deepEqual(await faults_of(page), []);
      await save_picture(page, 'system');
      await panel().getByRole('link', { name: 'Its uploads' }).click();
      await page.getByRole('heading', { level: 1, name: 'Uploads' }).waitFor();
      assert.equal(search().get('system'), 'ci-agent');
      await open('memory/systems?system=ci-agent');
      await panel().getByRole('link', { name: 'Search in it' }).click();
      await page.getByRole('button', { name: 'Drop system: ci-agent' }).waitFor();
      await open('memory/systems?system=ci-agent');
      await panel().getByText('Last of').waitFor();
      await page.keyboard.press('Escape');
      await until(async () => search().get('system') === null, { what: 'the panel to close', timeout_ms: kLimitMs });
      no_complaints();
    });

    test('one that is not there, or cannot be asked for, says so; a phone shows the panel whole', async () => {
      await open('memory/systems?system=never-was');
      await panel().getByText(/^Nothing is known of this system/).waitFor();
      assert.deepEqual(await faults_of(page), []);
      await with_route('/memory/systems/ci-agent', failing, async () => {
        await open('memory/systems?system=ci-agent');
        await panel().getByRole('alert').getByText(kFault).waitFor();
      });
      await panel().getByRole('button', { name: 'Retry' }).click();
      await panel().getByText('Last of').waitFor();
      await show(kPhone);
      await open('memory/systems?system=ci-agent');
      await panel().getByRole('list', { name: 'Last uploads' }).waitFor();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
      assert.deepEqual(await faults_of(page), []);
      await show();
      no_complaints(/status of (404|500)/);
    });

    test('who does well at what is told below them: nothing yet, figures, a fault', async () => {
      await open('memory/systems');
      const card = page.getByRole('region', { name: 'Routing fitness' });
      await card.getByText('No figures yet').waitFor();
      const figure = { path: 'routing_fitness/quick/haiku', task_class: 'quick', selector: 'haiku', score: 0.75, failure_rate: 0.25, p99_latency_ms: 900, samples: 4, component_count: 1, from: '2026-11-23T00:00:00Z', computed_at: '2026-11-23T01:00:00Z', stale: true };
      const told = { total: 1, window_minutes: 60, fitness: [figure] };
      await with_route('/memory/analytics/fitness', (route) => route.fulfill({ json: told }), async () => {
        await open('memory/systems');
        await sees(async () => (await cells('Routing fitness')).map((row) => row.slice(0, 4)), [['quick', 'haiku', '0.750', '25%']], 'the figure');
        await card.getByText('stale').waitFor();
        assert.deepEqual(await faults_of(page), []);
      });
      await with_route('/memory/analytics/fitness', failing, async () => {
        await open('memory/systems');
        await card.getByRole('alert').getByText(kFault).waitFor();
      });
      await card.getByRole('button', { name: 'Retry' }).click();
      await card.getByText('No figures yet').waitFor();
      no_complaints(/status of 500/);
    });

    test('hundreds are listed page by page', async () => {
      const many = Array.from({ length: 260 }, (_, i) => ({ memory_id: 'one', text: `Bot ${i} waits ${i * i} seconds.`, system_id: `many-${String(i).padStart(3, '0')}` }));
      const reply = await gateway.post('/memory/memories/batch', { memories: many });
      assert.equal(reply.status, 200, reply.text);
      const { total } = await ask('/systems');
      await open('memory/systems');
      await page.getByText(`200 of ${total}`, { exact: true }).waitFor();
      await page.getByLabel('Find a system').fill('team-notes');
      await page.getByText('Not among those that are loaded; more follow.').waitFor();
      await page.getByRole('button', { name: 'Load more' }).click();
      await sees(names, ['team-notes'], 'the system of the second page');
      await page.getByLabel('Find a system').fill('');
      await until(async () => (await names()).length === total, { what: 'all of them', timeout_ms: kLimitMs });
      no_complaints();
    });

    test('one that is silent for a week is told by a word; erasing wants the name and takes everything', async () => {
      await gateway.post('/memory/memories', { memory_id: 'last', text: 'The last word of the aged bot.', system_id: 'aged-bot' });
      await gateway.sqlite("UPDATE memory_uploads SET discovered_at_ms = discovered_at_ms - 864000000, updated_at_ms = updated_at_ms - 864000000 WHERE system_id = 'aged-bot'");
      await until(async () => (await ask('/systems/aged-bot')).silent, { what: 'the system to be silent', timeout_ms: kLimitMs });
      await open('memory/systems');
      await table('Systems').getByRole('row').filter({ hasText: 'aged-bot' }).getByText('silent').waitFor();
      await page.getByText('1 silent for a week').waitFor();
      await page.getByRole('button', { name: 'aged-bot', exact: true }).click();
      await panel().getByText('1 memory, shard').waitFor();
      await panel().getByRole('button', { name: /^Erase the system/ }).click();
      const dialog = page.getByRole('dialog', { name: 'Erase aged-bot?' });
      const erase = dialog.getByRole('button', { name: 'Erase it' });
      assert.ok(await erase.isDisabled());
      await dialog.getByLabel('Type “aged-bot” to confirm').fill('old-bo');
      assert.ok(await erase.isDisabled());
      await dialog.getByLabel('Type “aged-bot” to confirm').fill('aged-bot');
      await with_route('/memory/systems/aged-bot', (route) => (route.request().method() === 'DELETE' ? failing(route) : route.fallback()), async () => {
        await erase.click();
        await dialog.getByRole('alert').getByText(kFault).waitFor();
      });
      await erase.click();
      await page.getByText('Erased aged-bot: 1 memory.').waitFor();
      await until(async () => !(await names()).includes('aged-bot'), { what: 'its row to go', timeout_ms: kLimitMs });
      assert.equal((await gateway.get('/memory/memories/aged-bot/last')).status, 404);
      no_complaints(/status of (404|500)/);
    });
  });

  describe('ageing', () => {
    const runs = async () => (await ask('/storage/migrations')).migrations;

    test('tells when it comes by itself and from which ages; a dry run counts and moves nothing', async () => {
      const { plan } = await ask('/storage/migrations');
      const before = (await ask('/storage/status')).tiers.hot.records;
      await open('memory/tiers');
      await page.getByText(`From hot to warm after ${plan.hot_days} days, from there to cold after ${plan.warm_days}.`, { exact: false }).waitFor();
      await page.getByText('No run yet').waitFor();
      await page.getByLabel('From age in days').fill('1.5');
      await page.getByText('“1.5” is no whole number from 0 to 36,500.').waitFor();
      assert.ok(await page.getByRole('button', { name: 'Dry run' }).isDisabled());
      assert.deepEqual(await faults_of(page), []);
      await page.getByLabel('From age in days').fill('40');
      await page.keyboard.press('Enter');
      await page.getByText(/would go from hot → warm\. Nothing was moved\./).waitFor();
      const [dry] = await runs();
      assert.deepEqual([dry.dry_run, dry.cutoff_days, dry.state], [true, 40, 'done']);
      assert.ok(dry.records_migrated > 0);
      await sees(async () => (await cells('Runs')).map((row) => row[3]), [`${dry.records_migrated} due`], 'the run in the table');
      assert.equal((await ask('/storage/status')).tiers.hot.records, before);
      no_complaints();
    });

    test('a run asks first, moves what is old enough, and its row and the tiers say so', async () => {
      await open('memory/tiers');
      await page.getByLabel('From age in days').fill('40');
      await page.getByRole('button', { name: 'Age now' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Not now' }).click();
      assert.equal((await runs()).length, 1);
      await page.getByRole('button', { name: 'Age now' }).click();
      await with_route('/memory/storage/migrations', (route) => (route.request().method() === 'POST' ? failing(route) : route.fallback()), async () => {
        await page.getByRole('dialog').getByRole('button', { name: 'Age now' }).click();
        await page.getByRole('dialog').getByRole('alert').getByText(kFault).waitFor();
      });
      await page.getByRole('dialog').getByRole('button', { name: 'Age now' }).click();
      await page.getByText('The run is queued.').waitFor();
      const [dry] = (await runs()).filter(({ dry_run }) => dry_run);
      await sees(async () => (await cells('Runs')).map((row) => [row[2], row[3]])[0], ['done', String(dry.records_migrated)], 'the run to have ended');
      const [run] = await runs();
      assert.equal(run.records_migrated, dry.records_migrated);
      const { warm } = (await ask('/storage/status')).tiers;
      assert.equal(warm.records, run.records_migrated);
      await page.getByText(`${warm.records}`, { exact: true }).first().waitFor();
      assert.deepEqual(await faults_of(page), []);
      no_complaints(/status of 500/);
    });

    test('what is under way is shown with its progress, and keeps a second one of its kind from beginning', async () => {
      const run = { id: 'mig_1', state: 'running', source_tier: 'hot', target_tier: 'warm', cutoff_days: null, batch_size: 1000, dry_run: false, scheduled: true, records_migrated: 5000, bytes_freed: 1_500_000, errors: 2, requested_at: new Date().toISOString(), start_time: new Date().toISOString(), end_time: null };
      let migrations = [run];
      // A run of five thousand takes longer than a test: the server's own answer with such a run in it.
      const answer = async (route) => {
        if (route.request().method() !== 'GET') return route.fallback();
        const reply = await route.fetch();
        await route.fulfill({ response: reply, json: { ...(await reply.json()), migrations } });
      };
      await with_route('/memory/storage/migrations?**', answer, async () => {
        await open('memory/tiers');
        await page.getByText('Running: 5,000 so far, 2 with errors, 1.4 MB freed').waitFor();
        await page.getByRole('progressbar', { name: 'Progress of hot → warm' }).waitFor();
        assert.ok(await page.getByRole('button', { name: 'Age now' }).isDisabled());
        await page.getByText('The copies of 2 memories were not what they should be', { exact: false }).waitFor();
        assert.deepEqual(await faults_of(page), []);
        await page.getByLabel('Step').selectOption('warm');
        assert.ok(await page.getByRole('button', { name: 'Age now' }).isEnabled());
        migrations = [{ ...run, state: 'failed', error: 'the bucket is away', end_time: new Date().toISOString() }];
        await page.getByText('the bucket is away').waitFor();
        assert.equal(await page.getByRole('progressbar').count(), 0);
      });
      no_complaints();
    });
  });

  describe('whatever happens', () => {
    const kPaths = ['memory/systems', 'memory/systems?system=ci-agent', 'memory/tiers', 'memory/graph', 'memory/graph?id=concept:ben-okafor&ever=true', 'memory/uploads', 'memory/search?q=payments'];

    for (const [hours, name] of [[-72, 'behind'], [72, 'ahead']]) {
      test(`clock skew: a browser whose clock is three days ${name} still shows every page, and calls nobody silent`, async () => {
        await show();
        await page.addInitScript((shift) => {
          const real = Date.now.bind(Date);
          Date.now = () => real() + shift;
        }, hours * 3_600_000);
        for (const path of kPaths) {
          await open(path);
          assert.doesNotMatch(await page.locator('main').innerText(), /NaN|Infinity|undefined|\bnull\b|Invalid Date|\[object|(^|\s)[-−]\d/, path);
          assert.equal(await page.getByRole('main').getByRole('alert').count(), 0, path);
        }
        await open('memory/systems');
        await table('Systems').getByRole('row').filter({ hasText: 'ci-agent' }).getByText('active').waitFor();
        await show();
        no_complaints();
      });
    }

    test('a memory that cannot be loaded says so, and so does one that is gone', async () => {
      await open('memory/search?q=refund&mode=keyword');
      const card = page.getByRole('list', { name: 'Memories' }).getByRole('listitem').first();
      await with_route('/memory/memories/**', failing, async () => {
        await card.getByRole('button', { name: /^Open/ }).click();
        await panel().getByRole('alert').getByText(kFault).waitFor();
        assert.deepEqual(await faults_of(page), []);
      });
      await panel().getByRole('button', { name: 'Retry' }).click();
      await panel().getByText('Content hash').waitFor();
      await page.keyboard.press('Escape');
      const gone = (route) => route.fulfill({ status: 404, json: { error: 'not_found', message: 'no such memory', details: {} } });
      await with_route('/memory/memories/**', gone, async () => {
        await open('memory/search?q=refund&mode=keyword');
        await card.getByRole('button', { name: /^Open/ }).click();
        await panel().getByText(/^This memory is not there/).waitFor();
      });
      no_complaints(/status of (404|500)/);
    });
  });

  describe('graph', () => {
    const kBen = 'concept:ben-okafor';
    const facts = () => page.getByRole('list', { name: 'Facts' }).getByRole('listitem');

    test('begins with the best known; an entity is found by part of its name, by keyboard', async () => {
      await open('memory/graph');
      const { entities } = await ask('/graph/entities?limit=12');
      const best = page.getByRole('list', { name: 'Best known' }).getByRole('button');
      await best.first().waitFor();
      assert.equal(await best.count(), entities.length);
      assert.equal(await best.first().getAttribute('title'), entities[0].entity_id);
      const size = await ask('/graph/statistics');
      await page.getByText(String(size.total_facts), { exact: true }).first().waitFor();
      assert.deepEqual(await faults_of(page), []);
      const field = page.getByRole('combobox', { name: 'Entity' });
      await field.fill('nobody of that name');
      await page.getByText('No entity is called that.').waitFor();
      await field.fill('okafor');
      await page.getByRole('option', { name: /Ben Okafor/ }).waitFor();
      assert.deepEqual(await faults_of(page), []);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 2, name: 'Ben Okafor' }).waitFor();
      assert.equal(search().get('id'), kBen);
      no_complaints();
    });

    test('neighbours and facts are those of the API; what was superseded is shown as such, with both its times', async () => {
      await open(`memory/graph?id=${kBen}`);
      const { neighbors } = await ask(`/graph/entities/${kBen}/neighbors`);
      await table('Neighbours').getByRole('row').nth(1).waitFor();
      assert.deepEqual((await cells('Neighbours')).map(([relation, name]) => [relation.split(/[:→←]\s*/).at(-1).trim(), name]), neighbors.map(({ edge_type, name, entity_id }) => [edge_type.replaceAll('_', ' '), name ?? entity_id.split(':')[1]]));
      assert.equal(await page.locator('[data-node]').count(), neighbors.length + 1);
      assert.equal(await page.locator('line[data-holds=false]').count(), 0);
      assert.equal(await facts().filter({ hasText: 'superseded' }).count(), 0);
      await page.getByRole('switch', { name: 'Also what does not hold' }).click();
      await facts().filter({ hasText: 'superseded' }).first().waitFor();
      assert.equal(search().get('ever'), 'true');
      const ever = (await ask(`/graph/entities/${kBen}?which=ever`)).facts;
      const lisbon = ever.find(({ to }) => to.endsWith(':lisbon'));
      const row = facts().filter({ hasText: `fact ${lisbon.fact_id}` });
      assert.match(await row.first().innerText(), new RegExp(`superseded by fact ${lisbon.ended_by}`));
      assert.match(await row.first().innerText(), /Holds from .* to .*; known from .* on/);
      await page.locator('line[data-holds=false]').first().waitFor({ state: 'attached' });
      assert.deepEqual(await faults_of(page), []);
      await save_picture(page, 'graph');
      // The memory that says so.
      await row.first().getByRole('button', { name: /^team-notes/ }).click();
      await panel().getByText('Ben Okafor moved to Lisbon.').waitFor();
      await page.keyboard.press('Escape');
      no_complaints();
    });

    test('as of an earlier day what held then is shown; before anything was known nothing is', async () => {
      const lisbon = (await ask(`/graph/entities/${kBen}?which=ever`)).facts.find(({ to }) => to.endsWith(':lisbon'));
      const day = lisbon.valid_from.slice(0, 10);
      await open(`memory/graph?id=${kBen}`);
      const field = page.getByLabel('As of');
      await field.fill(day);
      await page.getByText(`What held on ${day}`, { exact: false }).waitFor();
      await until(async () => (await cells('Neighbours')).some(([, name]) => /lisbon/i.test(name)), { what: 'the town of then', timeout_ms: kLimitMs });
      assert.ok(!(await cells('Neighbours')).some(([, name]) => /porto/i.test(name)));
      await page.getByLabel('Known at').fill('2001-01-01');
      await page.getByText(`Nothing is known of ${kBen}`).waitFor();
      assert.deepEqual(await faults_of(page), []);
      await page.getByRole('button', { name: 'Back to now' }).click();
      await until(async () => (await cells('Neighbours')).some(([, name]) => /porto/i.test(name)), { what: 'the town of now', timeout_ms: kLimitMs });
      no_complaints(/status of 404/);
    });

    test('arrow keys walk the drawing, + draws more, Enter goes there and Back comes back', async () => {
      await open('memory/graph?id=system:team-notes');
      const nodes = page.locator('[data-node]');
      const before = await nodes.count();
      await nodes.first().focus();
      for (const key of ['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp']) {
        await nodes.first().focus();
        await page.keyboard.press(key);
        if ((await page.evaluate(() => document.activeElement.getAttribute('data-node'))) !== '0') break;
      }
      const at = await page.evaluate(() => document.activeElement.getAttribute('aria-label'));
      assert.notEqual(at, 'team-notes, system');
      await page.keyboard.press('+');
      await until(async () => (await nodes.count()) > before, { what: 'what is around the neighbour', timeout_ms: kLimitMs });
      await nodes.first().focus();
      await page.getByRole('button', { name: 'Larger' }).click();
      await page.getByText('150 %').waitFor();
      const next = page.locator('[data-node="1"]');
      const name = (await next.getAttribute('aria-label')).split(',')[0];
      await next.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 2, name, exact: true }).waitFor();
      await page.goBack();
      await page.getByRole('heading', { level: 2, name: 'team-notes', exact: true }).waitFor();
      no_complaints();
    });

    test('a path is a chain; that there is none is an answer, and an unknown end is named', async () => {
      await open(`memory/graph?id=${kBen}`);
      await page.getByRole('combobox', { name: 'Path to' }).fill('lisbon');
      await page.getByRole('option', { name: /lisbon/i }).waitFor();
      await page.keyboard.press('Enter');
      const to = search().get('to');
      const found = await ask(`/graph/path?source_id=${kBen}&target_id=${to}&max_hops=5`);
      if (found.path_found) assert.equal(await page.getByRole('list', { name: 'Path' }).getByRole('listitem').count(), found.path.length);
      else await page.getByText('No path within 5 steps').waitFor();
      await open('memory/graph?id=user:ben&to=project:payments');
      const chain = page.getByRole('list', { name: 'Path' }).getByRole('listitem');
      const { path } = await ask('/graph/path?source_id=user:ben&target_id=project:payments&max_hops=5');
      await until(async () => (await chain.count()) === path.length, { what: 'the path', timeout_ms: kLimitMs });
      assert.deepEqual(await faults_of(page), []);
      await page.getByLabel('Steps at most').selectOption('8');
      assert.equal(search().get('hops'), '8');
      await open(`memory/graph?id=user:ben&to=user:nobody`);
      await page.getByText('Nothing is known of user:nobody').waitFor();
      await with_route('/memory/graph/path?**', failing, async () => {
        await open('memory/graph?id=user:ben&to=project:ledger');
        await page.getByRole('region', { name: 'Path' }).getByRole('alert').getByText(kFault).waitFor();
      });
      no_complaints(/status of 500/);
    });

    test('names in any script are shown as they are written, and found', async () => {
      const push = await gateway.post('/memory/memories', { memory_id: 'names', text: 'x', system_id: 'i18n', metadata: { user_id: 'kenji', project: '損害賠償 プロジェクト', tags: ['Дмитрий', 'نص'] } });
      assert.equal(push.status, 200, push.text);
      await until(async () => (await ask(`/graph/entities?q=${encodeURIComponent('賠償')}`)).total > 0, { what: 'the project', timeout_ms: kLimitMs });
      await open('memory/graph');
      await page.getByRole('combobox', { name: 'Entity' }).fill('賠償');
      await page.getByRole('option', { name: /損害賠償 プロジェクト/ }).click();
      await page.getByRole('heading', { level: 2, name: '損害賠償 プロジェクト' }).waitFor();
      const shown = (await cells('Neighbours')).map(([, name]) => name);
      for (const name of ['Дмитрий', 'نص']) assert.ok(shown.some((each) => each.toLowerCase() === name.toLowerCase()), `${name} is not in ${shown}`);
      await show(kPhone);
      await open(page.url().split('#/')[1] ?? 'memory/graph');
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
      await show();
      no_complaints();
    });

    test('a hub with thousands of neighbours is drawn in part and listed page by page', async () => {
      const many = Array.from({ length: 400 }, (_, i) => ({ memory_id: `h-${i}`, text: `Note ${i * i} of the hub takes ${i} minutes.`, system_id: 'hub-bot', metadata: { project: 'the-hub', user_id: `person-${i}` } }));
      const reply = await gateway.post('/memory/memories/batch', { memories: many });
      assert.equal(reply.status, 200, reply.text);
      await until(async () => (await ask('/graph/entities/project:the-hub/neighbors?limit=1')).total_neighbors >= 400, { what: 'the hub', timeout_ms: 3 * kLimitMs });
      await open('memory/graph?id=project:the-hub');
      await page.getByText(/^50 of 4\d\d, the heaviest first\.$/).waitFor();
      for (const listed of [150, 299]) {
        await page.getByRole('region', { name: 'Neighbours', exact: true }).first().getByRole('button', { name: 'More', exact: true }).click();
        await page.getByText(new RegExp(`^${listed} of`)).waitFor();
      }
      assert.ok((await page.locator('[data-node]').count()) <= 300);
      assert.deepEqual(await faults_of(page), []);
      no_complaints();
    });
  });
});
