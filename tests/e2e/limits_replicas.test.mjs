/** Four gateways that share one Redis limit requests as one would, in every window. It takes a window: a minute. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { make_org, operator, start_governed } from "./support/governed.mjs";
import { postgres_missing, start_postgres } from "./support/postgres.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";

after(stop_everything);

const kWindowMs = 60_000;

const skip = redis_missing() ?? postgres_missing() ?? false;
test("four processes with one Redis let through what one would, in every window", { skip }, async (t) => {
  const kLimit = 200;
  const kTolerance = 1.01;
  const [redis, database] = await Promise.all([start_redis(), start_postgres()]);
  // The first makes the schema for all.
  const settings = {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    ASAHI_API_RATE_LIMIT_PER_MINUTE: "1000000",
    ASAHI_DATABASE_POOL_SIZE: "4",
    ASAHI_WORKERS: "1",
  };
  const first = await start_governed({ env: settings });
  const others = await Promise.all(
    [2, 3, 4].map(() => start_governed({ env: settings })),
  );
  const replicas = [first, ...others];
  t.after(() => Promise.all([...replicas.map((replica) => replica.stop()), redis.stop(), database.stop()]));
  const caller = await make_org(first, "shared", {}, { rate_limit_per_minute: kLimit });
  const passed = []; // {start, end} of each, by the client's clock
  /** `count` requests, `width` at a time to each replica; how many passed. */
  async function hammer(count, width) {
    let next = 0;
    const before = passed.length;
    const one = async (replica) => {
      while (next++ < count) {
        const start = performance.now();
        const reply = await replica.get("/auth/me", caller);
        assert.ok([200, 429].includes(reply.status), reply.text);
        if (reply.status === 200) passed.push({ start, end: performance.now() });
      }
    };
    await Promise.all(replicas.flatMap((replica) => Array.from({ length: width }, () => one(replica))));
    return passed.length - before;
  }
  const begin = performance.now();
  assert.equal(await hammer(120, 4), 120);
  const first_end = performance.now();
  await pause(4000);
  const rest = await hammer(600, 4);
  assert.ok(Math.abs(120 + rest - kLimit) <= kLimit * (kTolerance - 1), `${120 + rest} of ${kLimit}`);
  // Until the first of them leave the window nothing passes; then as many as left, and no more. On a slow machine the
  // second wave leaves while the third arrives: as many as have surely left must pass, and no more than may have.
  await pause(Math.max(0, kWindowMs - 3000 - (performance.now() - begin)));
  const early = await hammer(40, 1);
  assert.ok(early <= passed.filter(({ start }) => start <= performance.now() - kWindowMs).length, `${early} too early`);
  await pause(Math.max(0, kWindowMs + 200 - (performance.now() - first_end)));
  const earlier = [...passed];
  const surely = earlier.filter(({ end }) => end <= performance.now() - kWindowMs).length;
  const again = early + (await hammer(500, 4));
  const perhaps = earlier.filter(({ start }) => start <= performance.now() - kWindowMs).length;
  const tolerance = kLimit * (kTolerance - 1);
  assert.ok(again >= surely - tolerance && again <= perhaps + tolerance, `${again} of ${surely} to ${perhaps}`);
  for (const { start } of passed) {
    const within = passed.filter((other) => other.start >= start && other.end <= start + kWindowMs).length;
    assert.ok(within <= kLimit * kTolerance, `${within} in one window`);
  }
  // Redis goes: each replica counts on by itself and answers.
  await redis.stop();
  for (const replica of replicas) assert.ok([200, 429].includes((await replica.get("/auth/me", caller)).status));
  assert.equal((await replicas[0].get("/governance/usage?org_id=shared", operator)).status, 200);
});
