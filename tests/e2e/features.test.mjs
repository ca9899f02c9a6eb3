/** Features of users before their prompts: from a file and from Feast over HTTP; personal answers stay personal. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
after(stop_everything);
beforeEach(() => fakes.reset());

const ask = (user_id, more = {}) => ({ prompt: "What is a good present?", task_type: "faq", user_id, ...more });
/** What the last vendor call said as the user. */
const asked = async () => {
  const [{ body }] = (await fakes.requests()).slice(-1);
  const content = body.messages.at(-1).content;
  return typeof content === "string" ? content : content[0].text;
};

test("a file's features stand before the prompt, and its changes take effect", async () => {
  const folder = temp_folder("features");
  mkdirSync(join(folder, "data"), { recursive: true });
  const path = join(folder, "data", "features.json");
  const write = (features) => writeFileSync(path, JSON.stringify({ user: features }));
  write({ ann: { tier: "gold", recent_queries: ["tea", "cups"] }, "acme/ann": { tier: "platinum" } });
  const gateway = await start_gateway({ fakes, folder, env: { ASAHI_FEATURE_STORE_ENABLED: "true" } });
  const reply = await gateway.infer(ask("ann"));
  assert.equal(
    await asked(),
    "[Context from user profile]\n- Recent Queries: tea, cups\n- Tier: gold\n[End context]\n\nWhat is a good present?",
  );
  assert.ok(reply.optimization_techniques.includes("feature_enrichment"));

  // Another user, and the same name in another organisation, get neither the features nor the answer.
  assert.equal((await gateway.infer(ask("bob"))).cache_hit, false);
  assert.equal(await asked(), "What is a good present?");
  assert.equal((await gateway.infer(ask("ann", { organization_id: "acme" }))).cache_hit, false);
  assert.match(await asked(), /Tier: platinum/);
  assert.equal((await gateway.infer(ask("ann"))).cache_hit, true);

  write({ ann: { tier: "silver" } });
  await until(
    async () => {
      await gateway.infer(ask("ann", { bypass_cache: true }));
      return (await asked()).includes("silver");
    },
    { what: "the changed file" },
  );
  await gateway.infer(ask("ann", { enrich_with_features: false, bypass_cache: true }));
  assert.equal(await asked(), "What is a good present?");
  assert.ok((await gateway.get("/metrics")).body.feature_store.successes > 0);
});

test("Feast is asked with the organisation, and left alone when it fails", async () => {
  const requests = [];
  let broken = false;
  const feast = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    requests.push(JSON.parse(text));
    if (broken) return response.writeHead(500).end();
    const { features, entities } = requests.at(-1);
    const rows = entities.organization_id.map((org, i) => `${org}/${entities.user_id[i]}`);
    const now = new Date().toISOString();
    const results = features.map((name) => ({
      values: rows.map((row) => (row === "default/ann" && name === "shop_user:tier" ? "gold" : null)),
      statuses: rows.map((row) => (row === "default/ann" && name === "shop_user:tier" ? "PRESENT" : "NOT_FOUND")),
      event_timestamps: rows.map(() => now),
    }));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ metadata: { feature_names: features.map((name) => name.split(":")[1]) }, results }),
    );
  });
  await new Promise((ready) => feast.listen(0, "127.0.0.1", ready));
  const gateway = await start_gateway({
    fakes,
    env: {
      ASAHI_FEATURE_STORE_ENABLED: "true",
      ASAHI_FEATURE_STORE_PROVIDER: "feast",
      ASAHI_FEATURE_STORE_FEAST_PROJECT: "shop",
      ASAHI_FEATURE_STORE_TIMEOUT_MS: "5000",
      FEAST_URL: `http://127.0.0.1:${feast.address().port}`,
    },
  });
  await gateway.infer(ask("ann"));
  assert.match(await asked(), /- Tier: gold/);
  assert.deepEqual(requests[0].entities, { organization_id: ["default"], user_id: ["ann"] });

  broken = true;
  for (let i = 0; i < 8; ++i) {
    const reply = await gateway.infer(ask("ann", { bypass_cache: true }));
    assert.equal(reply.response, "Answer to: What is a good present?");
  }
  assert.equal(requests.length, 6, "after five failures it is left alone");
  const { feature_store } = (await gateway.get("/metrics")).body;
  assert.deepEqual([feature_store.enabled, feature_store.failures], [false, 5]);
  feast.close();
  feast.closeAllConnections();
});
