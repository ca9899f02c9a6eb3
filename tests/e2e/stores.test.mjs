/** Stores that go away and come back under load: no request fails, no event is lost, the health tells. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_fault_proxy } from "./support/fault_proxy.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { postgres_missing, start_postgres } from "./support/postgres.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";
import { timed, until } from "./support/wait.mjs";

const fakes = await start_fakes();
after(stop_everything);

/** Keeps `width` clients asking until `stop()`; that resolves to the replies' statuses. */
function keep_asking(gateway, { width = 8, repeat = 0.3 } = {}) {
  let running = true;
  const statuses = [];
  let number = 0;
  const client = async (id) => {
    while (running) {
      const prompt = Math.random() < repeat && number > 10 ? `asked ${number - 10}` : `asked ${++number}`;
      const reply = await gateway
        .post("/infer", { prompt, user_id: `client-${id}` })
        .catch((error) => ({ status: error.message }));
      statuses.push(reply.status);
    }
  };
  const clients = Array.from({ length: width }, (_, id) => client(id));
  return {
    statuses,
    count: () => statuses.length,
    stop: async () => {
      running = false;
      await Promise.all(clients);
      return statuses;
    },
  };
}

/** Waits until `more` further answers came, so that a fault happens under load. */
const answers_to_come = (load, more) => {
  const goal = load.count() + more;
  return until(() => load.count() >= goal, { what: `${more} more answers`, timeout_ms: 20_000 });
};
const component = async (gateway, name) => (await gateway.get("/health")).body.components[name];
const health_is = (gateway, status) =>
  until(async () => (await gateway.get("/health")).body.status === status, {
    what: `health to be ${status}`,
    timeout_ms: 45_000,
    every_ms: 100,
  });

test(
  "PostgreSQL stops and starts under load: no failed answer, every event in its table once",
  { skip: postgres_missing(), timeout: 120_000 },
  async (t) => {
    const postgres = await start_postgres();
    const gateway = await start_gateway({ fakes, env: { DATABASE_URL: postgres.url } });
    t.after(() => Promise.all([gateway.stop(), postgres.stop()]));
    assert.equal(await component(gateway, "postgres"), "healthy");
    const load = keep_asking(gateway);
    await answers_to_come(load, 100);
    await postgres.stop();
    await answers_to_come(load, 100);
    await health_is(gateway, "degraded");
    assert.equal((await gateway.get("/health")).status, 200, "the gateway can still serve");
    await answers_to_come(load, 50);
    await postgres.start();
    await health_is(gateway, "healthy");
    await answers_to_come(load, 50);
    const statuses = await load.stop();
    assert.deepEqual([...new Set(statuses)], [200]);
    const stored = async () =>
      Number(
        (await postgres.query("SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM inference_events"))[0].n,
      );
    await until(async () => (await stored()) >= statuses.length, {
      what: `${statuses.length} events in the table`,
      timeout_ms: 30_000,
      every_ms: 100,
    });
    const [row] = await postgres.query(
      "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, count(DISTINCT request_id) AS requests FROM inference_events",
    );
    assert.deepEqual(
      [Number(row.n), Number(row.ids), Number(row.requests)],
      [statuses.length, statuses.length, statuses.length],
    );
  },
);

test("PostgreSQL that hangs slows no answer down", { skip: postgres_missing(), timeout: 120_000 }, async (t) => {
  const postgres = await start_postgres();
  const proxy = await start_fault_proxy(postgres.port);
  const gateway = await start_gateway({
    fakes,
    env: {
      DATABASE_URL: postgres.url.replace(String(postgres.port), String(proxy.port)),
      ASAHI_DATABASE_STATEMENT_TIMEOUT_MS: "1000",
    },
  });
  t.after(async () => {
    proxy.silent = false;
    await gateway.stop();
    await Promise.all([proxy.close(), postgres.stop()]);
  });
  proxy.silent = true;
  for (let i = 0; i < 30; ++i) {
    const { ms } = await timed(() => gateway.infer(`hanging database ${i}`));
    assert.ok(ms < 1000, `answer ${i} took ${Math.round(ms)} ms`);
  }
  proxy.silent = false;
  proxy.cut({ reset: true });
  await until(async () => Number((await postgres.query("SELECT count(*) AS n FROM inference_events"))[0].n) === 30, {
    what: "all events in the table",
    timeout_ms: 45_000,
    every_ms: 200,
  });
});

test(
  "PostgreSQL that is away at the start does not keep the gateway from answering",
  { skip: postgres_missing(), timeout: 120_000 },
  async (t) => {
    const postgres = await start_postgres();
    await postgres.stop();
    const gateway = await start_gateway({ fakes, env: { DATABASE_URL: postgres.url }, wait_ready: false });
    t.after(() => Promise.all([gateway.stop(), postgres.stop()]));
    assert.equal((await gateway.post("/infer", { prompt: "no database yet" })).status, 200);
    await health_is(gateway, "degraded");
    await postgres.start();
    await health_is(gateway, "healthy");
    await until(async () => Number((await postgres.query("SELECT count(*) AS n FROM inference_events"))[0].n) === 1, {
      what: "the early event in the table",
      timeout_ms: 30_000,
      every_ms: 100,
    });
  },
);

test(
  "Redis stops and starts under load: no failed answer, health degraded and healthy again",
  { skip: redis_missing(), timeout: 120_000 },
  async (t) => {
    const redis = await start_redis();
    const gateway = await start_gateway({ fakes, env: { REDIS_URL: redis.url } });
    t.after(() => Promise.all([gateway.stop(), redis.stop()]));
    await health_is(gateway, "healthy");
    const load = keep_asking(gateway);
    await answers_to_come(load, 100);
    await redis.stop();
    await answers_to_come(load, 100);
    await health_is(gateway, "degraded");
    assert.match(await component(gateway, "redis"), /degraded|unavailable/);
    await answers_to_come(load, 50);
    await redis.start();
    await health_is(gateway, "healthy");
    await answers_to_come(load, 50);
    assert.deepEqual([...new Set(await load.stop())], [200]);
    const prompt = "after the recovery";
    await gateway.infer(prompt);
    assert.equal((await gateway.infer(prompt)).cache_hit, true);
    assert.notEqual(await redis.command("DBSIZE"), ":0", "nothing is written to Redis any more");
  },
);

test("without Redis repeats still hit, in process", { skip: redis_missing(), timeout: 60_000 }, async (t) => {
  const redis = await start_redis();
  const gateway = await start_gateway({ fakes, env: { REDIS_URL: redis.url } });
  t.after(() => gateway.stop());
  await redis.stop();
  await gateway.infer("while Redis is away");
  await until(async () => (await gateway.infer("while Redis is away")).cache_hit, { what: "a hit in the local cache" });
});

test(
  "Redis that hangs slows answers down by its limit at most, and soon not at all",
  { skip: redis_missing(), timeout: 60_000 },
  async (t) => {
    const redis = await start_redis();
    const proxy = await start_fault_proxy(redis.port);
    const gateway = await start_gateway({ fakes, env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}/0` } });
    t.after(async () => {
      proxy.silent = false;
      await gateway.stop();
      await Promise.all([proxy.close(), redis.stop()]);
    });
    proxy.silent = true;
    const first = await timed(() => gateway.infer("hanging cache, first"));
    assert.ok(first.ms < 2000, `took ${Math.round(first.ms)} ms`);
    await health_is(gateway, "degraded");
    const later = await timed(() => gateway.infer("hanging cache, later"));
    assert.ok(later.ms < 500, `took ${Math.round(later.ms)} ms although the cache is known to be away`);
  },
);
