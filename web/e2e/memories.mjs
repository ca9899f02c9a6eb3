/** A few systems that remember a quarter of a year, and a bucket with uploads that went well and badly. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { until } from '../../tests/e2e/support/wait.mjs';

const kHour = 3_600_000;
const kDay = 24 * kHour;

/** system, project, tags, texts (the first is the newest), user. */
const kTalks = [
  ['deploy-bot', 'payments', ['release', 'runbook'], [
    'Rolling back payments: deploy rollback payments --to 41; wait for the drain of in-flight captures before the old pods go.',
    'Release 42 of payments went out to all regions at 09:10 without a page.',
    'The canary of payments was stopped because captures took 900 ms at p99.',
    'Before a release of payments the ledger has to be closed for writes for a minute.',
  ]],
  ['oncall-notes', 'payments', ['incident'], [
    'The rollback of the payment service on Oct 14 failed because the migration had no way down; since then each has one.',
    'Redis evicted the session keys, so users were logged out at midnight.',
    'Grace may roll back payments without asking; Ada has to be told afterwards.',
  ]],
  ['claude-desk', 'ledger', ['question'], [
    'Question how to undo a release of payments: the answer names the runbook and the two people who may.',
    'Invoice 4711 to Contoso was paid twice; Ben asked for a refund of 1,250 EUR.',
    'The ledger counts in millionths of a dollar, so that nothing is rounded before the bill.',
    'Anna takes her coffee black, two cups before noon.',
  ]],
  ['legal-team', 'contracts', ['clause'], [
    'The supplier indemnifies the customer up to the sum of one year; 損害賠償の上限は一年分。',
    'The contract with Contoso ends on the last of May unless somebody renews it.',
  ]],
  // Read as facts: where Ben lives changes, so that the older fact is superseded.
  ['team-notes', 'payments', ['people'], [
    'Ben Okafor moved to Porto.',
    'Grace Lim is the CEO of Contoso.',
    'Ada maintains payments. Payments depends on ledger.',
    'Ben Okafor moved to Lisbon.',
  ], 'ben'],
  ['ci-agent', 'ledger', ['build'], [
    'The build of ledger takes nine minutes since the cache of the compiler was moved.',
    'Three tests of ledger are flaky on Mondays: they read the day of the week.',
    'The nightly run found a leak in the export of ten million rows.',
  ]],
];

/** Pushes them; ages go from an hour to a quarter of a year. */
export async function push_memories(gateway, now = Date.now()) {
  let age = 0;
  for (const [system_id, project, tags, texts, user_id] of kTalks) {
    const memories = texts.map((text, i) => ({
      memory_id: `c-${8812 - 7 * i}`,
      text,
      system_id,
      timestamp: new Date(now - kHour - (age += 5) * kDay).toISOString(),
      metadata: { source: system_id, project, tags, type: i % 2 ? 'note' : 'conversation', language: 'en', ...(user_id ? { user_id } : {}) },
    }));
    const reply = await gateway.post('/memory/memories/batch', { memories });
    if (reply.status !== 200) throw new Error(`push answered ${reply.status}: ${reply.text}`);
  }
  // The very same from another system is kept once, and noted.
  await gateway.post('/memory/memories', { memory_id: 'heard', text: kTalks[0][3].at(-1), system_id: 'claude-desk' });
}

/** Waits until what the memories say has become entities and facts. */
export const facts_known = (gateway) =>
  until(async () => (await gateway.get('/memory/graph/entities?q=lisbon')).body.total > 0 && (await gateway.get('/memory/graph/entities?q=contoso')).body.total > 0, {
    what: 'the facts of the memories',
    timeout_ms: 30_000,
  });

/** Lets what is old enough go down a tier, so that each holds something; one dry run more. */
export async function age_memories(gateway) {
  const run = async (body) => {
    const asked = await gateway.post('/memory/storage/migrations', body);
    if (asked.status >= 300) throw new Error(`ageing answered ${asked.status}: ${asked.text}`);
    await until(async () => (await gateway.get(`/memory/storage/migrations/${asked.body.id}`)).body.state === 'done', { what: 'the ageing run', timeout_ms: 30_000 });
  };
  await run({ source_tier: 'hot', target_tier: 'warm', cutoff_days: 30 });
  await run({ source_tier: 'warm', target_tier: 'cold', cutoff_days: 70 });
  await run({ source_tier: 'hot', target_tier: 'warm', dry_run: true });
}

/** Writes uploads into `folder`, which a gateway watches as its bucket: manifest last. */
export function write_uploads(folder, now = Date.now()) {
  const write = (system, upload, conversations, manifest = {}) => {
    const place = join(folder, 'systems', system, upload);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'memories.json'), typeof conversations === 'string' ? conversations : JSON.stringify({ conversations }));
    const body = { uploaded_at: new Date(now - kHour).toISOString(), conversation_count: Array.isArray(conversations) ? conversations.length : 1, ...manifest };
    writeFileSync(join(place, 'manifest.json'), JSON.stringify(body));
  };
  const talks = (prefix, count) => Array.from({ length: count }, (_, i) => ({ id: `${prefix}-${i}`, content: `${prefix} ${i}: step ${i * i} of the plan ${prefix} took ${i + 3} minutes.` }));
  write('deploy-bot', 'up-0040', talks('rollout', 24));
  write('ci-agent', 'up-0039', [...talks('nightly', 8), { id: 'late', content: 'from tomorrow', timestamp: new Date(now + 3 * kDay).toISOString() }, { id: '', content: 7 }]);
  write('ci-agent', 'up-0101', talks('broken', 2), { checksum: '0'.repeat(64) });
  write('oncall-notes', 'up-0102', talks('shift', 5));
}

/** Waits until the bucket's uploads are through. */
export const uploads_done = (gateway, limit_ms = 60_000) =>
  until(
    async () => {
      const { uploads } = (await gateway.get('/memory/uploads')).body;
      const bucket = uploads.filter(({ origin }) => origin === 'bucket');
      return bucket.length >= 4 && bucket.every(({ state }) => ['done', 'partial', 'rejected', 'failed'].includes(state));
    },
    { what: 'the uploads of the bucket', timeout_ms: limit_ms },
  );

export const bucket_of = (folder) => ({ AKOSHA_INGEST_BUCKET: `file://${folder}`, AKOSHA_DISCOVERY_INTERVAL: '1' });
