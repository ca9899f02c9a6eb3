/** Organisations with keys of their own at vendors: whose key goes out when, and that nobody else ever sees it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { binary_path, restart_gateway } from "./support/gateway.mjs";
import { kGoverned, make_org, operator, start_governed } from "./support/governed.mjs";
import { assert_no_leak } from "./support/leaks.mjs";
import { run, stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const kOpenai = "test-own-of-acme-7788";
const kAnthropic = "test-own-of-acme-9900";
const kRefused = "sk-refused-everywhere-5511";
const kEncryptionKey = "5a".repeat(32);
const kEncryption = { ASAHI_ENCRYPTION_KEY: kEncryptionKey, ASAHI_GOVERNANCE_PBKDF2_ITERATIONS: "100000" };
// The last four characters, as the fakes write them down.
const kPlatforms = "enai";

describe("organisations' own vendor keys", () => {
  let fakes, gateway, acme, globex;
  let number = 0;

  before(async () => {
    fakes = await start_fakes();
    // Anthropic has no key of the platform.
    gateway = await start_governed({
      fakes,
      vendors: ["openai", "anthropic"],
      env: { ...kEncryption, ANTHROPIC_API_KEY: "", ASAHI_PROVIDERS_BREAKER_FAILURES: "2" },
    });
    acme = await make_org(gateway, "acme");
    globex = await make_org(gateway, "globex");
  });
  after(stop_everything);

  const chat = (headers, model = "gpt-4o-mini", more = {}) =>
    gateway.post(
      "/v1/chat/completions",
      { model, messages: [{ role: "user", content: `question ${++number}` }], ...more },
      headers,
    );
  /** The key that the vendor saw last. */
  async function last_hint(vendor = "openai") {
    return (await fakes.requests({ vendor })).at(-1)?.key_hint;
  }
  const set = (headers, provider, api_key) => gateway.post("/providers/keys", { provider, api_key }, headers);

  test("the key that was set goes out with the next call, and the other organisation's calls go on as before", async () => {
    assert.equal((await chat(acme)).status, 200);
    assert.equal(await last_hint(), kPlatforms);
    const made = await set(acme, "openai", kOpenai);
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.hint, "7788");
    assert.equal((await chat(acme)).status, 200);
    assert.equal(await last_hint(), "7788");
    assert.equal((await chat(globex)).status, 200);
    assert.equal(await last_hint(), kPlatforms);
  });

  test("streams, embeddings and the native shape use it too; a call's own key counts more", async () => {
    const streamed = await gateway.stream(
      "/v1/chat/completions",
      { model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "streamed" }] },
      { headers: acme },
    );
    assert.match(await streamed.text(), /\[DONE\]/);
    assert.equal(await last_hint(), "7788");
    const embedded = await gateway.post("/v1/embeddings", { model: "text-embedding-3-small", input: "text" }, acme);
    assert.equal(embedded.status, 200, embedded.text);
    assert.equal(await last_hint(), "7788");
    const native = { prompt: "native", routing_mode: "explicit", model: "gpt-4o-mini" };
    assert.equal((await gateway.post("/infer", native, acme)).status, 200);
    assert.equal(await last_hint(), "7788");
    const own = await gateway.post("/infer", { ...native, prompt: "own", provider_api_key: "test-of-the-call-3344" }, acme);
    assert.equal(own.status, 200, own.text);
    assert.equal(await last_hint(), "3344");
  });

  test("it makes up for a key that the platform has not, for this organisation alone", async () => {
    assert.equal((await chat(acme, "claude-3-5-sonnet")).status, 503);
    const listed = async (headers) => (await gateway.get("/v1/models", headers)).text.includes("claude-3-5-sonnet");
    assert.equal(await listed(acme), false);
    assert.equal((await set(acme, "anthropic", kAnthropic)).status, 201);
    const answered = await chat(acme, "claude-3-5-sonnet");
    assert.equal(answered.status, 200, answered.text);
    assert.equal(await last_hint("anthropic"), "9900");
    assert.equal(await listed(acme), true);
    assert.equal(await listed(globex), false);
    assert.equal((await chat(globex, "claude-3-5-sonnet")).status, 503);
  });

  test("one that the vendor refuses is told to its organisation and changes nothing for others", async () => {
    assert.equal((await set(globex, "openai", kRefused)).status, 201);
    const before = (await fakes.requests({ vendor: "openai" })).length;
    for (let i = 0; i < 5; ++i) {
      const refused = await chat(globex);
      assert.equal(refused.status, 400, refused.text);
      assert.match(refused.text, /openai refused the key that your organisation has set/);
      assert.equal(refused.text.includes(kRefused), false);
      const streamed = await gateway.stream(
        "/v1/chat/completions",
        { model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: `refused ${i}` }] },
        { headers: globex },
      );
      assert.equal(streamed.status, 400);
      await streamed.text();
    }
    const seen = (await fakes.requests({ vendor: "openai" })).slice(before);
    assert.deepEqual([...new Set(seen.map(({ key_hint }) => key_hint))], ["5511"]);
    assert.equal((await chat(acme)).status, 200);
    const { providers } = (await gateway.get("/health/providers")).body;
    assert.equal(providers.find(({ provider }) => provider === "openai").circuit, "closed");
  });

  test("after its removal the platform's goes out again", async () => {
    assert.equal((await gateway.delete("/providers/keys?provider=openai", globex)).status, 200);
    assert.equal((await chat(globex)).status, 200);
    assert.equal(await last_hint(), kPlatforms);
    assert.equal((await gateway.get("/providers/keys", globex)).body.count, 0);
  });

  test("identical calls of two organisations at the same time never share a vendor call", async () => {
    await fakes.config("openai", { latency_ms: 200 });
    const body = { model: "gpt-4o-mini", messages: [{ role: "user", content: "the same question at once" }] };
    const since = (await fakes.requests({ vendor: "openai" })).at(-1).seq;
    const replies = await Promise.all([acme, acme, globex, globex].map((who) => gateway.post("/v1/chat/completions", body, who)));
    for (const reply of replies) assert.equal(reply.status, 200, reply.text);
    const seen = await fakes.requests({ vendor: "openai", since });
    assert.deepEqual(seen.map(({ key_hint }) => key_hint).sort(), ["7788", kPlatforms]);
    await fakes.config("openai", { latency_ms: 0 });
  });

  test("keys are encrypted where they lie, and nowhere to be read", async () => {
    const rows = await gateway.sqlite("SELECT ciphertext, hint FROM provider_keys WHERE active AND org_id = 'acme'");
    assert.equal(rows.length, 2);
    const audit = (await gateway.get("/governance/audit?limit=500", acme)).text;
    assert.match(audit, /provider_key\.set/);
    const printed = await run(binary_path(), ["config", "--print"], { cwd: gateway.folder, env: gateway.env });
    assert.equal(printed.code, 0, printed.stderr);
    await assert_no_leak(
      gateway,
      {
        "acme's key": kOpenai,
        "acme's other key": kAnthropic,
        "globex's key": kRefused,
        "the call's key": "test-of-the-call-3344",
        "the encryption key": kEncryptionKey,
        "the admin secret": kGoverned.ASAHI_ADMIN_SECRET,
        "the token secret": kGoverned.ASAHI_JWT_SECRET,
        "the pepper": kGoverned.ASAHI_KEY_PEPPER,
      },
      { headers: operator, "the audit log": audit, "config --print": printed.stdout + printed.stderr },
    );
  });

  test("they are still there after a restart; without the encryption key calls fail rather than bill the platform", async () => {
    await gateway.stop();
    gateway = await restart_gateway(gateway, { fakes });
    assert.equal((await chat(acme)).status, 200);
    assert.equal(await last_hint(), "7788");
    await gateway.stop();
    gateway = await restart_gateway(gateway, { fakes, env: { ASAHI_ENCRYPTION_KEY: "" } });
    const refused = await chat(acme);
    assert.equal(refused.status, 503, refused.text);
    assert.match(refused.text, /own vendor keys cannot be read/);
    assert.equal((await chat(globex)).status, 200);
    const unset = await set(globex, "openai", kOpenai);
    assert.equal(unset.status, 400);
    assert.equal(unset.body.error, "configuration_error");
    assert.match(unset.text, /ASAHI_ENCRYPTION_KEY/);
  });

  test("what organisations want encrypted is cached encrypted, and is a miss when the key is lost", async () => {
    await gateway.stop();
    gateway = await restart_gateway(gateway, { fakes, env: kEncryption });
    const profile = await gateway.call(
      "PUT", "/governance/compliance/profile/globex", { encryption_required: true }, operator);
    assert.ok([200, 201].includes(profile.status), profile.text);
    const ask = () => gateway.post("/infer", { prompt: "a private question", routing_mode: "explicit", model: "gpt-4o-mini" }, globex);
    assert.equal((await ask()).body.cache_hit, false);
    await until(async () => (await ask()).body.cache_hit === true, { what: "a hit on an encrypted entry" });
    const listed = await gateway.get("/cache/entries", globex);
    assert.equal(listed.status, 200);
  });
});
