/**
 * kill -9 at random moments under load, again and again on one data folder: what was acknowledged is there afterwards.
 * 5 rounds, 200 with ASAHI_LONG_TESTS=1. ASAHI_CRASH_SEED repeats the moments of a run.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, run_asahi } from "./support/gateway.mjs";
import { bearer, budget_use, kGoverned, make_key, operator, set_policy, start_governed } from "./support/governed.mjs";
import { find_program, stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kLong = process.env.ASAHI_LONG_TESTS === "1";
const kRounds = kLong ? 200 : 5;
const kTimeFactor = Number(process.env.ASAHI_TIME_FACTOR ?? 1);
/** How long after its answer an event may still be on its way to the disk. Audit and budgets have no such delay. */
const kEventMs = 100 * kTimeFactor;
const kOrg = "crash";
const kNano = 1e9;

const seed = Number(process.env.ASAHI_CRASH_SEED ?? Date.now() % 1_000_000);
/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function random_numbers(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = random_numbers(seed);

/** Runs `step(i)` until the server was killed. A reply that must not be ends it too and stays in `round.fault`. */
async function worker(round, step) {
  for (let i = 0; !round.over; ++i) {
    try {
      await step(i);
    } catch (error) {
      if (error instanceof assert.AssertionError) round.fault ??= error;
      return;
    }
  }
}

test(
  `${kRounds} times kill -9 under load: no acknowledged audit entry, spend or event is lost`,
  {
    timeout: kLong ? 1_500_000 : 120_000 * kTimeFactor,
    skip: find_program("sqlite3") ? false : "the sqlite3 program is not installed",
  },
  async (t) => {
    t.diagnostic(`ASAHI_CRASH_SEED=${seed}`);
    const fakes = await start_fakes();
    let gateway = await start_governed({ fakes });
    t.after(() => gateway.kill());
    // The plan of whoever has none allows a thousand calls a day.
    const tenant = await gateway.post("/tenants", { org_id: kOrg, name: "Crash", plan: "enterprise" }, operator);
    assert.equal(tenant.status, 201, tenant.text);
    await set_policy(gateway, kOrg, { max_cost_per_day: 1000, require_audit_log: true });
    const caller = bearer(await make_key(gateway, kOrg));

    const entries = []; // "action what" of acknowledged mutations, ever
    const events = []; // request ids acknowledged early enough, ever
    let inferences = 0;
    let spent = 0; // nano-dollars acknowledged, ever
    for (let number = 0; number < kRounds; ++number) {
      const round = { over: false, answered: [] };
      const target = gateway;
      const mutate = [
        async (i) => {
          const wanted = { org_id: kOrg, user_id: `user-${number}-${i}`, scopes: ["infer"] };
          const reply = await target.post("/governance/api-keys", wanted, operator);
          assert.equal(reply.status, 201, reply.text);
          entries.push(`api_key.create api_key/${reply.body.prefix}`);
          const gone = await target.delete(`/governance/api-keys/${reply.body.prefix}`, caller);
          assert.equal(gone.status, 200, gone.text);
          entries.push(`api_key.revoke api_key/${reply.body.prefix}`);
        },
        async (i) => {
          const limit = 1_000_000 + number * 10_000 + i; // of no use but to tell one change from another
          const change = { max_requests_per_month: limit };
          const reply = await target.call("PATCH", `/governance/policies/${kOrg}`, change, caller);
          assert.equal(reply.status, 200, reply.text);
          entries.push(`policy.update ${limit}`);
        },
      ];
      const ask = (id) => async (i) => {
        const prompt = `[[answer:50]] round ${number} client ${id} call ${i}`;
        const reply = await target.post("/infer", { prompt, model: "gpt-4o-mini" }, caller);
        assert.equal(reply.status, 200, reply.text);
        ++inferences;
        spent += Math.floor(reply.body.cost * kNano) - 1000; // replies show micro-dollars, rounded
        round.answered.push([reply.body.request_id, performance.now()]);
      };
      const workers = [...mutate, ...[1, 2, 3, 4].map(ask)].map((step) => worker(round, step));
      await until(() => round.answered.length > 0 || round.fault, {
        what: "the first answer",
        timeout_ms: 20_000 * kTimeFactor,
      });
      await pause(random() * 600 * kTimeFactor);
      const killed_at = performance.now();
      await gateway.kill();
      round.over = true;
      await Promise.all(workers);
      if (round.fault) throw round.fault;
      for (const [id, at] of round.answered) if (at < killed_at - kEventMs) events.push(id);

      gateway = await restart_gateway(gateway, { fakes });
      const use = await budget_use(gateway, kOrg);
      assert.ok(use.requests >= inferences, `round ${number}: ${use.requests} of ${inferences} requests`);
      assert.ok(use.spent_usd * kNano >= spent, `round ${number}: ${use.spent_usd} spent, ${spent} n$ acknowledged`);
      assert.equal(use.reserved_usd, 0, "what was open counts as spent");
      const checked = await gateway.get(`/governance/audit/verify?org_id=${kOrg}`, operator);
      assert.equal(checked.status, 200, checked.text);
      assert.equal(checked.body.valid, true, `round ${number}: ${checked.text}`);
    }

    // Page by page: what the sqlite3 program prints is kept in memory.
    const kPage = 5000;
    const written = new Set();
    for (let offset = 0; ; offset += kPage) {
      const rows = await gateway.sqlite(
        `SELECT action, resource, json_extract(details, '$.changes.max_requests_per_month.after') AS month
         FROM audit_entries WHERE org_id = '${kOrg}' AND action <> 'inference'
         ORDER BY seq LIMIT ${kPage} OFFSET ${offset}`,
      );
      for (const { action, resource, month } of rows) written.add(`${action} ${month ?? resource}`);
      if (rows.length < kPage) break;
    }
    assert.ok(entries.length >= kRounds, `${entries.length} mutations`);
    assert.deepEqual(entries.filter((entry) => !written.has(entry)), [], "acknowledged and not in the audit log");
    const [{ calls }] = await gateway.sqlite(
      `SELECT COUNT(*) AS calls FROM audit_entries WHERE org_id = '${kOrg}' AND action = 'inference'`,
    );
    assert.ok(Number(calls) >= inferences, `${calls} audit entries of ${inferences} acknowledged calls`);

    const logged = new Set(gateway.events().map((event) => event.request_id));
    assert.deepEqual(events.filter((id) => !logged.has(id)), [], "acknowledged and not in the event log");

    await gateway.stop();
    const verified = await run_asahi(["audit", "verify", "--org", kOrg], { folder: gateway.folder, env: kGoverned });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /is whole: \d+ entries checked/);
    t.diagnostic(`${inferences} calls, ${entries.length} mutations, ${events.length} events`);
  },
);
