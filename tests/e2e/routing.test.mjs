/** Rules of organisations, the trained router, feedback, and answers found wanting. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { make_org, operator, start_governed } from "./support/governed.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const fakes = await start_fakes();
const gateway = await start_governed({ fakes });
const acme = await make_org(gateway, "acme");
const other = await make_org(gateway, "other");

const kRefusal = "I'm sorry, but I can't help with that.";
const guided = (prompt, more = {}) => ({ prompt, routing_mode: "guided", ...more });

test("rules are checked, stored for one organisation, audited, and followed by guided calls", async () => {
  const rules = [
    { type: "step_based", steps: { 1: "gpt-4o", 2: "claude-3-5-haiku" } },
    { type: "fallback_chain", models: ["gpt-4o", "claude-3-5-haiku"], triggers: ["server_error"] },
  ];
  const wrong = [...rules, { type: "fallback_chain", models: ["gpt-4o"] }, { type: "model_allowlist", models: ["nobody"] }];
  const checked = await gateway.post("/routing/rules/validate", { rules: wrong }, acme);
  assert.deepEqual([checked.status, checked.body.valid, checked.body.faults.length], [200, false, 2]);
  const refused = await gateway.call("PUT", "/routing/rules", { rules: wrong }, acme);
  assert.deepEqual([refused.status, refused.body.error, refused.body.details.field], [400, "validation_error", "rules[2].models"]);

  const stored = await gateway.call("PUT", "/routing/rules", { rules }, acme);
  assert.equal(stored.status, 200, stored.text);
  assert.equal((await gateway.get("/routing/rules", other)).body.rules.length, 0, "another organisation's");

  const first = await gateway.infer(guided("[[answer:3]] first"), acme);
  assert.equal(first.model_used, "gpt-4o");
  assert.match(first.routing_reason, /step_based \(step 1\)/);
  const history = [
    { role: "user", content: "first" },
    { role: "assistant", content: "one" },
  ];
  assert.equal((await gateway.infer(guided("[[answer:3]] second", { history }), acme)).model_used, "claude-3-5-haiku");
  assert.doesNotMatch((await gateway.infer(guided("[[answer:3]] third"), other)).routing_reason, /rules/);

  const audit = await until(
    async () => {
      const log = await gateway.get("/governance/audit?org_id=acme&action=routing_rules.update", operator);
      return log.body.entries.length > 0 && log.body.entries;
    },
    { what: "an audit entry" },
  );
  assert.equal(audit.length, 1);
  assert.equal(audit[0].details.after.length, 2);
});

test("the chain of the rules is tried when the vendor fails, and the reply tells it", async () => {
  await fakes.script("openai", { kind: "status", status: 500, times: "forever" });
  const reply = await gateway.infer(guided("[[answer:4]] with a fault"), acme);
  await fakes.reset();
  assert.deepEqual([reply.model_used, reply.fallback_used], ["claude-3-5-haiku", true]);
  assert.ok(reply.warnings.some((warning) => /openai\/gpt-4o/.test(warning)), JSON.stringify(reply.warnings));
});

test("a dry run decides without calling anybody", async () => {
  const before = (await fakes.requests()).length;
  const body = {
    prompt: "Why is the sky blue?",
    at: "2026-11-22T23:30:00Z",
    rules: [{ type: "time_based", from_hour: 22, to_hour: 6, model: "gpt-4o" }],
  };
  const night = await gateway.post("/routing/rules/dry-run", body, acme);
  assert.deepEqual([night.status, night.body.model, night.body.attempts[0].origin], [200, "gpt-4o", "chosen"], night.text);
  const day = await gateway.post("/routing/rules/dry-run", { ...body, at: "2026-11-22T12:00:00Z" }, acme);
  assert.equal(day.body.rules_applied.length, 0);
  assert.equal((await fakes.requests()).length, before);
});

test("feedback belongs to an answer of the own organisation", async () => {
  const answer = await gateway.infer(guided("[[answer:3]] to be judged"), acme);
  const give = (caller) => gateway.post("/routing/feedback", { request_id: answer.request_id, rating: 2 }, caller);
  const given = await until(
    async () => {
      const reply = await give(acme);
      return reply.status === 201 && reply;
    },
    { what: "the event in the database" },
  );
  assert.equal(given.body.model, answer.model_used);
  assert.equal((await give(other)).status, 404);
  const rows = await gateway.sqlite("SELECT org_id, model, rating FROM routing_feedback");
  assert.deepEqual(rows, [{ org_id: "acme", model: answer.model_used, rating: 2 }]);
});

test("a refusal is told, not cached, and with escalation another model is asked once", async () => {
  const prompt = `[[say:${kRefusal}]] tell me`;
  const first = await gateway.infer({ prompt }, other);
  assert.equal(first.response, kRefusal);
  assert.ok(first.warnings.some((warning) => /refusal/.test(warning)));
  assert.ok(first.quality_score < first.predicted_quality);
  assert.equal((await gateway.infer({ prompt }, other)).cache_hit, false);

  const strict = await start_gateway({ fakes, env: { ASAHI_QUALITY_ESCALATE: "true" } });
  const twice = await strict.infer(prompt);
  assert.ok(twice.warnings.some((warning) => /was asked/.test(warning)), JSON.stringify(twice.warnings));
  const named = await strict.infer({ prompt, model: "gpt-4o-mini" });
  assert.ok(!named.warnings.some((warning) => /asked/.test(warning)), "who names a model wants that one");
});

test("a router is trained on own rows, chooses per prompt, explains itself and learns from feedback", async () => {
  const folder = temp_folder("router");
  const rows = Array.from({ length: 600 }, (_, i) =>
    i % 2 === 0
      ? { prompt: `Prove the theorem of case ${i} and derive its bound`, weak_correct: i % 10 === 0, strong_correct: i % 12 !== 0 }
      : { prompt: `Name the colour of fruit ${i}`, weak_correct: i % 15 !== 0, strong_correct: i % 15 !== 0 },
  );
  writeFileSync(join(folder, "rows.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const file = join(folder, "router.json");
  const few = join(folder, "few.jsonl");
  writeFileSync(few, JSON.stringify(rows[0]));
  const models = ["--weak", "gpt-4o-mini", "--strong", "gpt-4o"];
  const refused = await run_asahi(["train-router", "--data", few, ...models, "--out", file]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /at least 200/);
  const train = (data, out, given = models) => run_asahi(["train-router", "--data", data, ...given, "--out", out]);
  const missing = await train(join(folder, "nothing.jsonl"), file);
  assert.deepEqual([missing.code, /cannot read .*nothing\.jsonl/.test(missing.stderr)], [1, true], missing.stderr);
  const bad = join(folder, "bad.jsonl");
  for (const row of ["{", "[]", '{"prompt": "a", "weak_correct": 1, "strong_correct": true}', '{"weak_correct": true, "strong_correct": true}']) {
    writeFileSync(bad, `${JSON.stringify(rows[0])}\n\n${row}\n`);
    const told = await train(bad, file);
    assert.deepEqual([told.code, /bad\.jsonl:3: a row must be/.test(told.stderr)], [1, true], told.stderr);
  }
  const nothing_to_gain = join(folder, "same.jsonl");
  writeFileSync(nothing_to_gain, rows.map((row) => JSON.stringify({ ...row, strong_correct: row.weak_correct })).join("\n"));
  assert.match((await train(nothing_to_gain, file)).stderr, /nothing to gain/);
  for (const place of [folder, join(few, "router.json")]) {
    const unwritable = await train(join(folder, "rows.jsonl"), place);
    assert.deepEqual([unwritable.code, /cannot write/.test(unwritable.stderr)], [1, true], unwritable.stderr);
  }
  const twice = await train(few, file, ["--weak", "gpt-4o", "--strong", "gpt-4o"]);
  assert.deepEqual([twice.code, /name two models/.test(twice.stderr)], [1, true], twice.stderr);
  assert.equal(existsSync(file), false, "no failed training leaves a file");
  const trained = await run_asahi(["train-router", "--data", join(folder, "rows.jsonl"), ...models, "--out", file]);
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stdout, /fewer than at random/);
  assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("router.json")), ["router.json"]);

  // The mock stands for the vendors; the same file decides.
  const mocked = await start_gateway({
    env: { ASAHI_APP_MOCK: "true", ASAHI_ROUTING_STRATEGY: "learned", ASAHI_ROUTING_LEARNED_FILE: file, ASAHI_ROUTING_LEARNED_STRONG_SHARE: "0.52" },
  });
  const proven = await mocked.infer("Prove the theorem of case 4444 and derive its bound");
  assert.equal(proven.model_used, "gpt-4o", proven.routing_reason);
  assert.match(proven.routing_reason, /learned router/);

  const learned = await start_gateway({
    fakes,
    env: { ASAHI_ROUTING_STRATEGY: "learned", ASAHI_ROUTING_LEARNED_FILE: file, ASAHI_ROUTING_LEARNED_STRONG_SHARE: "0.52" },
  });
  const hard = await learned.infer("Prove the theorem of case 7777 and derive its bound");
  assert.equal(hard.model_used, "gpt-4o", hard.routing_reason);
  assert.match(hard.routing_reason, /learned router: gpt-4o would gain \+0\.\d+ over gpt-4o-mini/);
  const easy = await learned.infer({ prompt: "Name the colour of fruit 7777", task_type: "general" });
  assert.equal(easy.model_used, "gpt-4o-mini", easy.routing_reason);
  const feedback = await learned.post("/routing/feedback", { request_id: easy.request_id, correct: false });
  assert.deepEqual([feedback.status, feedback.body.router_learned], [201, true], feedback.text);
});

test("without a trained file a start says so, and quality per dollar decides", async () => {
  const untrained = await start_gateway({ fakes, env: { ASAHI_ROUTING_STRATEGY: "learned" } });
  assert.ok(untrained.logs().some((line) => /asahi train-router/.test(line.message ?? line.msg ?? JSON.stringify(line))));
  const answer = await untrained.infer("[[answer:3]] hello");
  assert.match(answer.routing_reason, /not trained.*best quality per dollar/);
});
