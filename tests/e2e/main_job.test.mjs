/**
 * The main job, end to end: a thousand real prompts go through the gateway twice. The first time the vendor answers, the
 * second time the cache does, and costs, savings and events add up to the last micro-dollar.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, start_gateway } from "./support/gateway.mjs";
import { find_program, stop_everything } from "./support/processes.mjs";
import { data_missing, read_rows } from "./support/shared_data.mjs";
import { until } from "./support/wait.mjs";

const kFile = "pairs_dev.jsonl";
const kPrompts = process.env.ASAHI_LONG_TESTS === "1" ? 10_000 : 1_000;
const kAtOnce = 16;
/** Dollars per 1,000 tokens of the baseline. */
const kBaseline = { input: 0.01, output: 0.03 };

after(stop_everything);

/** Runs `work` over all items, `kAtOnce` at a time, keeping their order. */
async function map_at_once(items, work) {
  const results = new Array(items.length);
  let next = 0;
  await Promise.all(
    Array.from({ length: kAtOnce }, async () => {
      while (next < items.length) {
        const index = next++;
        results[index] = await work(items[index], index);
      }
    }),
  );
  return results;
}

/** A price per 1,000 tokens as whole pico-dollars per token. */
const pico = (per_1k) => BigInt(Math.round(per_1k * 1e9));
/** Nano-dollars of a call, rounded half up once. */
const nano_cost = (input, output, price) =>
  (BigInt(input) * pico(price.input) + BigInt(output) * pico(price.output) + 500n) / 1000n;
/** Nano-dollars from a decimal number or text with at most nine decimals. */
const nanos = (amount) => BigInt(Math.round(Number(amount) * 1e9));
const micros = (nano) => Number((nano + 500n) / 1000n) / 1e6;
const sum = (values) => values.reduce((total, value) => total + value, 0n);

describe("a thousand real prompts, twice", { skip: data_missing(kFile) }, () => {
  let fakes, gateway, prompts, prices;
  let first, second, events;

  before(
    async () => {
      fakes = await start_fakes();
      await fakes.config("*", { answer_style: "digest" });
      gateway = await start_gateway({ fakes });
      prompts = [...new Set(read_rows(kFile).map((row) => row.a.trim()))].filter(Boolean).slice(0, kPrompts);
      const { body } = await gateway.get("/models");
      prices = Object.fromEntries(
        body.models.map((m) => [m.name, { input: m.cost_per_1k_input, output: m.cost_per_1k_output }]),
      );
      first = await map_at_once(prompts, (prompt) => gateway.infer(prompt));
      second = await map_at_once(prompts, (prompt) => gateway.infer(prompt));
      await until(() => gateway.events().length >= 2 * prompts.length, {
        what: "all events in the daily log",
        timeout_ms: 10_000,
        every_ms: 100,
      });
      events = gateway.events();
    },
    { timeout: 300_000 },
  );

  const counted = (reply) => nano_cost(reply.tokens_input, reply.tokens_output, prices[reply.model_used]);
  const baseline = (reply) => nano_cost(reply.tokens_input, reply.tokens_output, kBaseline);

  test("the first time each prompt is answered by a vendor, once", async () => {
    assert.ok(prompts.length >= 1_000 || kPrompts < 1_000, `only ${prompts.length} prompts`);
    assert.equal(first.filter((reply) => reply.cache_hit).length, 0);
    assert.ok(first.every((reply) => reply.provider === "openai" || reply.provider === "anthropic"));
    const calls = (await fakes.requests({ limit: "5000" })).length;
    assert.equal(calls, Math.min(prompts.length, 5000));
    assert.equal(new Set(first.map((reply) => reply.request_id)).size, prompts.length);
  });

  test("the second time every prompt is an exact hit with the same answer, for nothing", () => {
    for (const [i, reply] of second.entries()) {
      assert.deepEqual(
        [reply.cache_hit, reply.cache_tier, reply.cost, reply.tokens_total, reply.response],
        [true, 1, 0, 0, first[i].response],
        prompts[i],
      );
    }
  });

  test("each reply's cost, baseline and saving follow from its tokens", () => {
    for (const [i, reply] of first.entries()) {
      const cost = counted(reply);
      const original = baseline(reply);
      assert.equal(reply.cost, micros(cost), prompts[i]);
      assert.equal(reply.cost_original, micros(original));
      assert.equal(reply.cost_savings_vs_baseline, micros(original - cost));
      assert.deepEqual(
        [second[i].cost_original, second[i].cost_savings_vs_baseline],
        [reply.cost_original, reply.cost_original],
      );
    }
  });

  test("the daily log holds one event per answer, exact to the nano-dollar", () => {
    const by_id = new Map(events.map((event) => [event.request_id, event]));
    assert.equal(events.length, 2 * prompts.length);
    assert.equal(by_id.size, events.length);
    for (const [i, reply] of first.entries()) {
      const event = by_id.get(reply.request_id);
      assert.deepEqual(
        [nanos(event.cost), nanos(event.baseline_cost), event.cache_hit, event.model_used],
        [counted(reply), baseline(reply), false, reply.model_used],
      );
      const hit = by_id.get(second[i].request_id);
      assert.deepEqual(
        [nanos(hit.cost), nanos(hit.baseline_cost), hit.cache_hit, hit.cache_tier, hit.input_tokens],
        [0n, baseline(reply), true, 1, 0],
      );
    }
  });

  test(
    "the database holds the same rows and the same sums",
    { skip: find_program("sqlite3") ? false : "the sqlite3 program is not installed" },
    async () => {
      await until(
        async () => (await gateway.sqlite("SELECT count(*) AS n FROM inference_events"))[0].n === events.length,
        { what: "all rows", timeout_ms: 15_000, every_ms: 200 },
      );
      const rows = await gateway.sqlite(
        "SELECT request_id, cost, baseline_cost, savings, cache_hit, cache_tier FROM inference_events",
      );
      assert.equal(sum(rows.map((row) => nanos(row.cost))), sum(first.map(counted)));
      assert.equal(sum(rows.map((row) => nanos(row.baseline_cost))), 2n * sum(first.map(baseline)));
      assert.equal(sum(rows.map((row) => nanos(row.savings))), 2n * sum(first.map(baseline)) - sum(first.map(counted)));
      assert.equal(rows.filter((row) => row.cache_hit && row.cache_tier === 1).length, prompts.length);
    },
  );

  test("GET /metrics shows the same sums to the micro-dollar", async () => {
    await check_metrics(gateway);
  });

  test("Prometheus counts the same money and hits", async () => {
    const { text } = await gateway.get("/metrics?format=prometheus");
    const series = (name) =>
      text
        .split("\n")
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .map((line) => Number(line.split(" ").at(-1)));
    const total = (name) => series(name).reduce((a, b) => a + b, 0);
    assert.equal(total("asahi_requests_total"), events.length);
    assert.equal(total("asahi_cache_hits_total"), prompts.length);
    assert.ok(
      Math.abs(total("asahi_cost_dollars_total") - Number(sum(first.map(counted))) / 1e9) < 1e-9 * events.length,
    );
  });

  test("a restart forgets none of it", async () => {
    await gateway.stop();
    gateway = await restart_gateway(gateway, { fakes });
    await check_metrics(gateway);
  });

  async function check_metrics(at) {
    const cost = sum(first.map(counted));
    const saved = 2n * sum(first.map(baseline)) - cost;
    const { body } = await at.get("/metrics");
    assert.deepEqual(
      [body.total_requests, body.requests, body.tier1_hits],
      [events.length, events.length, prompts.length],
    );
    assert.equal(body.total_cost, micros(cost));
    assert.equal(body.gpt4_equivalent_cost, micros(2n * sum(first.map(baseline))));
    assert.equal(body.estimated_savings_vs_gpt4, micros(saved));
    assert.equal(body.absolute_savings, micros(saved));
    assert.equal(body.cache_hit_rate, 0.5);
    assert.ok(Math.abs(body.savings_percent - (Number(saved) / Number(saved + cost)) * 100) < 0.06);
    const by_model = Object.values(body.requests_by_model).reduce((a, b) => a + b, 0);
    assert.equal(by_model, events.length);
  }
});
