/** The command line: help everywhere, exit codes, configuration faults, migrations, mock runs without a network. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { find_program, free_port, run, stop_everything, temp_folder } from "./support/processes.mjs";

after(stop_everything);

const kCommands = [
  ...["serve", "api", "infer", "test", "metrics", "events", "config", "keys", "audit", "migrate", "genkey"],
  ...["healthcheck", "benchmark", "tune-thresholds", "cache", "demo"],
];

test("--help lists the commands and each command has its own help", async () => {
  const { code, stdout } = await run_asahi(["--help"]);
  assert.equal(code, 0);
  for (const command of kCommands) {
    assert.match(stdout, new RegExp(`^\\s*${command}\\b`, "m"), command);
    const help = await run_asahi([command, "--help"]);
    assert.equal(help.code, 0, `${command}: ${help.stderr}`);
    assert.ok(help.stdout.length > 80, `${command} explains nothing`);
  }
});

test("--version prints the version", async () => {
  const { code, stdout } = await run_asahi(["--version"]);
  assert.equal(code, 0);
  assert.match(stdout, /\d+\.\d+\.\d+/);
});

test("bad usage exits with 2 and says what is wrong", async () => {
  for (const args of [
    ["no-such-command"],
    ["infer"],
    ["api", "--no-such-option"],
    ["api", "--port", "many"]
  ]) {
    const { code, stdout, stderr } = await run_asahi(args);
    assert.equal(code, 2, `${args.join(" ")}: ${stdout}${stderr}`);
    assert.ok((stdout + stderr).length > 10, args.join(" "));
  }
});

test("infer --mock answers with JSON, deterministically for a seed", async () => {
  const once = async () => {
    const { code, stdout, stderr } = await run_asahi(
      ["infer", "--prompt", "Name three rivers", "--quality", "3.5", "--latency", "300", "--mock"],
      { env: { ASAHI_MOCK_SEED: "7" } },
    );
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const [one, two] = [await once(), await once()];
  assert.ok(one.response.length > 0 && one.model_used && one.cost > 0);
  assert.deepEqual(
    [one.response, one.tokens_output, one.model_used],
    [two.response, two.tokens_output, two.model_used],
  );
});

test("infer without any vendor key fails with 1 and says what is missing", async () => {
  const { code, stdout, stderr } = await run_asahi(["infer", "--prompt", "x"]);
  assert.equal(code, 1);
  assert.match(stdout + stderr, /key/i);
});

test("test --mock runs stored queries and ends with the metrics", async () => {
  const { code, stdout, stderr } = await run_asahi(["test", "--num_queries", "12", "--mock"], { timeout_ms: 60_000 });
  assert.equal(code, 0, stderr);
  assert.ok((stdout.match(/\b(HIT|MISS)\b/g) ?? []).length >= 12, stdout);
  assert.match(stdout, /requests\W+12\b/);
  // The exact sums of the events are what the server's metrics say, to the micro-dollar.
  const sums = [...stdout.matchAll(/^(their events|the server's metrics).*?cost (\$\S+) +baseline (\$\S+) +saved (\$\S+) +requests (\d+)/gm)];
  assert.equal(sums.length, 2, stdout);
  assert.deepEqual(sums[0].slice(2), sums[1].slice(2));
});

test("events export writes CSV and JSON lines of every call, and names the lines it cannot read", async () => {
  const folder = temp_folder("events");
  const run = await run_asahi(["test", "--num_queries", "3", "--mock", "--quiet"], { folder, timeout_ms: 60_000 });
  assert.equal(run.code, 0, run.stderr);
  const logs = join(folder, "data", "cli", "logs");
  const [day] = readdirSync(logs).filter((name) => name.endsWith(".jsonl"));
  appendFileSync(join(logs, day), '{"cut off\n');
  const environment = { ASAHI_DATA_DIR: join(folder, "data", "cli") };
  const csv = await run_asahi(["events", "export"], { folder, env: environment });
  assert.equal(csv.code, 0, csv.stderr);
  const lines = csv.stdout.trim().split("\r\n");
  assert.equal(lines.length, 4);
  assert.match(lines[0], /^timestamp,request_id,/);
  for (const line of lines) assert.equal(line.split(",").length, lines[0].split(",").length);
  assert.match(csv.stderr, new RegExp(`skipped ${day}:4: not an event`));
  const jsonl = await run_asahi(["events", "export", "--format", "jsonl", "--start", "2026-01-01"], { folder, env: environment });
  assert.equal(jsonl.stdout.trim().split("\n").map(JSON.parse).length, 3);
  const future = await run_asahi(["events", "export", "--start", "2199-01-01"], { folder, env: environment });
  assert.equal(future.stdout.trim().split("\r\n").length, 1);
  const bad = await run_asahi(["events", "export", "--start", "yesterday"], { folder, env: environment });
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /--start is 'yesterday'; it must be a day/);
});

/** A folder with a config/config.yaml. */
function configured(yaml) {
  const folder = temp_folder("config");
  mkdirSync(join(folder, "config"));
  writeFileSync(join(folder, "config", "config.yaml"), yaml);
  return folder;
}

test("config --validate accepts a good configuration", async () => {
  const folder = configured("api:\n  port: 9001\ncache:\n  tier1:\n    ttl_seconds: 60\n");
  const { code, stdout, stderr } = await run_asahi(["config", "--validate"], { folder });
  assert.equal(code, 0, stdout + stderr);
});

test("config --validate lists every fault with path, value and rule, and exits with 2", async () => {
  const folder = configured(
    "api:\n  port: 99999\n  prot: 80\ncache:\n  ttl_seconds: soon\nrouting:\n  default_quality_threshold: 9\n",
  );
  const { code, stdout, stderr } = await run_asahi(["config", "--validate"], {
    folder,
    env: { ASAHI_PROVIDERS_MAX_ATTEMPTS: "lots" },
  });
  assert.equal(code, 2);
  const text = stdout + stderr;
  for (const [path, value] of [
    ["api.port", "99999"],
    ["api.prot", ""],
    ["cache.ttl_seconds", "soon"],
    ["routing.default_quality_threshold", "9"],
    ["ASAHI_PROVIDERS_MAX_ATTEMPTS|providers.max_attempts", "lots"],
  ]) {
    assert.match(text, new RegExp(path), path);
    assert.ok(text.includes(value), value);
  }
});

test("a faulty configuration keeps the server from starting, with 2", async () => {
  for (const command of ["serve", "api"]) {
    const { code, stdout, stderr } = await run_asahi([command], { env: { ASAHI_PORT: "minus one" } });
    assert.equal(code, 2, `${command}: ${stdout}${stderr}`);
    assert.match(stdout + stderr, /PORT|api\.port/);
  }
  const broken = configured("api:\n  port: [1\n");
  const { code, stdout, stderr } = await run_asahi(["serve"], { folder: broken });
  assert.equal(code, 2);
  assert.match(stdout + stderr, /config\.yaml.*\d/);
});

test("an unknown variable warns and does no more", async () => {
  const { code, stdout, stderr } = await run_asahi(["config", "--validate"], {
    env: { ASAHI_CACHE_TTL_SECNODS: "60" },
  });
  assert.equal(code, 0);
  assert.match(stdout + stderr, /ASAHI_CACHE_TTL_SECNODS/);
});

test("the environment wins over .env, .env over YAML; --print shows origins and hides secrets", async () => {
  const folder = configured("cache:\n  ttl_seconds: 100\n  max_entries: 100\n  cleanup_interval_seconds: 100\n");
  writeFileSync(join(folder, ".env"), "ASAHI_CACHE_TTL_SECONDS=200\nASAHI_CACHE_MAX_ENTRIES=200\n");
  const { code, stdout, stderr } = await run_asahi(["config", "--print"], {
    folder,
    env: {
      ASAHI_CACHE_TTL_SECONDS: "300",
      OPENAI_API_KEY: "test-very-secret-key",
      DATABASE_URL: "postgresql://asahi:very-secret-password@127.0.0.1/x",
    },
  });
  assert.equal(code, 0, stderr);
  for (const [key, value] of [
    ["cache.ttl_seconds", 300],
    ["cache.max_entries", 200],
    ["cache.cleanup_interval_seconds", 100],
  ]) {
    assert.match(stdout, new RegExp(`${key.replace(".", "\\.")}\\W+${value}\\b`), key);
  }
  assert.doesNotMatch(stdout, /very-secret/);
});

test(
  "migrate goes up, down and up again to the same schema, and tells where it stands",
  { skip: find_program("sqlite3") ? false : "the sqlite3 program is not installed" },
  async () => {
    const folder = temp_folder("migrate");
    const migrate = async (...args) => {
      const { code, stdout, stderr } = await run_asahi(["migrate", ...args], { folder });
      assert.equal(code, 0, `migrate ${args.join(" ")}: ${stdout}${stderr}`);
      return stdout;
    };
    const schema = async () =>
      (await run("sqlite3", [join(folder, "data", "asahi.db"), "SELECT type, name, sql FROM sqlite_schema ORDER BY name"]))
        .stdout;
    await migrate("upgrade", "head");
    const full = await schema();
    for (const table of [
      "inference_events",
      "api_keys",
      "audit_entries",
      "schema_migrations",
    ]) {
      assert.match(full, new RegExp(`\\b${table}\\b`), table);
    }
    await migrate("upgrade");
    assert.equal(await schema(), full, "a second upgrade changed something");
    const status = await migrate("status");
    assert.ok(status.trim().length > 0);
    await migrate("downgrade", "-1");
    assert.notEqual(await schema(), full);
    assert.notEqual(await migrate("status"), status);
    await migrate("upgrade", "head");
    assert.equal(await schema(), full);
  },
);

test("genkey prints 32 fresh random bytes in hex", async () => {
  const one = await run_asahi(["genkey"]);
  const two = await run_asahi(["genkey"]);
  assert.equal(one.code, 0);
  assert.match(one.stdout.trim(), /^[0-9a-f]{64}$/);
  assert.notEqual(one.stdout, two.stdout);
});

test("healthcheck is 0 for a healthy gateway and 1 where nobody listens", async (t) => {
  const gateway = await start_gateway({ fakes: await start_fakes() });
  t.after(() => gateway.stop());
  const alive = await run_asahi(["healthcheck"], { env: { ASAHI_PORT: String(gateway.port) } });
  assert.equal(alive.code, 0, alive.stdout + alive.stderr);
  const dead = await run_asahi(["healthcheck"], { env: { ASAHI_PORT: String(await free_port()) } });
  assert.equal(dead.code, 1);
});

test("metrics shows the live numbers of a running gateway", async (t) => {
  const gateway = await start_gateway({ fakes: await start_fakes() });
  t.after(() => gateway.stop());
  await gateway.infer("counted");
  const { code, stdout, stderr } = await run_asahi(["metrics"], { env: { ASAHI_PORT: String(gateway.port) } });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /total_requests\W+1\b/);
});

test("api --mock --port serves without keys, and leaves the current folder as documented", async (t) => {
  const gateway = await start_gateway({ env: { ASAHI_MOCK: "true" } });
  t.after(() => gateway.stop());
  const reply = await gateway.infer("Name three rivers");
  assert.ok(reply.response.includes(reply.model_used), "the mock names its model");
  assert.ok(reply.tokens_output >= 20 && reply.cost > 0);
  assert.ok(existsSync(join(gateway.folder, "data", "asahi.db")));
});

/** A gateway that asks for keys, and `asahi` commands on its data folder. */
async function start_with_keys(t) {
  const env = { ASAHI_AUTH_API_KEY_REQUIRED: "true" };
  let gateway = await start_gateway({ env: { ...env, ASAHI_MOCK: "true" } });
  t.after(() => gateway.stop());
  const asahi = (...args) => run_asahi(args, { folder: gateway.folder, env });
  const works = async (key) => (await gateway.get("/models", { authorization: `Bearer ${key}` })).status === 200;
  const restart = async () => {
    await gateway.stop();
    gateway = await restart_gateway(gateway);
  };
  return { asahi, works, restart, call: (...args) => gateway.call(...args), sqlite: (query) => gateway.sqlite(query) };
}
const kKey = /^ask_[a-z0-9]{4}_[A-Za-z0-9]{20,}$/;

test("keys create prints a key once that opens a running gateway, with the limits it was given", async (t) => {
  const { asahi, works, call } = await start_with_keys(t);
  const { code, stdout, stderr } = await asahi(
    ...["keys", "create", "--org", "acme", "--user", "ann", "--name", "for tests", "--scopes", "infer"],
    ...["--models", "gpt-4o-mini", "--expires-in-days", "3", "--requests-per-minute", "7"],
  );
  assert.equal(code, 0, stderr);
  const key = stdout.trim();
  assert.match(key, kKey, "standard output is the key and nothing else");
  assert.match(stderr, /shown this once/);
  assert.ok(await works(key));
  const bearer = { authorization: `Bearer ${key}` };
  const said = await call("POST", "/infer", { prompt: "x", model: "gpt-4o-mini" }, bearer);
  assert.equal(said.status, 200, said.text);
  assert.equal(said.headers.get("x-ratelimit-limit"), "7");
  assert.equal((await call("GET", "/governance/audit", undefined, bearer)).status, 403, "not in its scope");
  const listed = await asahi("keys", "list", "--org", "acme");
  assert.equal(listed.code, 0);
  assert.match(listed.stdout, new RegExp(`^${key.slice(0, 12)}\\s+active\\s+ann\\s+infer\\s.*for tests`, "m"));
  assert.ok(!(listed.stdout + listed.stderr).includes(key), "a list shows no key");
  assert.equal((await asahi("keys", "list", "--org", "globex")).stdout.trim(), "");
});

test("keys create --systems bounds a key to some of the memory's systems", async (t) => {
  const { asahi, works, call } = await start_with_keys(t);
  const { code, stdout, stderr } = await asahi("keys", "create", "--org", "acme", "--systems", "crm,buddy,crm");
  assert.equal(code, 0, stderr);
  const key = stdout.trim();
  assert.ok(await works(key));
  const whole = (await asahi("keys", "create", "--org", "acme")).stdout.trim();
  const store = (system_id) =>
    call("POST", "/memory/memories", { memory_id: `of-${system_id}`, text: "The build broke.", system_id }, { authorization: `Bearer ${whole}` });
  for (const system of ["crm", "hr"]) assert.equal((await store(system)).status, 200);
  const read = async (path) => (await call("GET", path, undefined, { authorization: `Bearer ${key}` })).status;
  assert.equal(await read("/memory/memories/crm/of-crm"), 200);
  assert.equal(await read("/memory/memories/hr/of-hr"), 403, "a system that is not its own");
  const listed = (await asahi("keys", "list", "--org", "acme")).stdout;
  assert.match(listed, new RegExp(`^${key.slice(0, 12)} .*systems buddy,crm `, "m"));
  assert.match(listed, new RegExp(`^${whole.slice(0, 12)} .*systems \\(all\\) `, "m"));
  const bad = await asahi("keys", "create", "--org", "acme", "--systems", "crm,../etc");
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /systems: '\.\.\/etc' is no system's id/);
});

test("keys rotate prints a successor and leaves the old key its overlap", async (t) => {
  const { asahi, works } = await start_with_keys(t);
  const old = (await asahi("keys", "create", "--org", "acme")).stdout.trim();
  assert.ok(await works(old));
  const { code, stdout, stderr } = await asahi("keys", "rotate", "--org", "acme", old.slice(0, 12));
  assert.equal(code, 0, stderr);
  assert.match(stdout.trim(), kKey);
  assert.notEqual(stdout.trim(), old);
  assert.ok((await works(old)) && (await works(stdout.trim())));
});

test("keys revoke ends a key, at the latest with the next start, and says when there is none", async (t) => {
  const { asahi, works, restart } = await start_with_keys(t);
  const key = (await asahi("keys", "create", "--org", "acme")).stdout.trim();
  assert.ok(await works(key));
  const foreign = await asahi("keys", "revoke", "--org", "globex", key.slice(0, 12));
  assert.equal(foreign.code, 1, foreign.stdout);
  assert.ok(await works(key), "another organisation's revoke does nothing");
  const { code, stdout, stderr } = await asahi("keys", "revoke", "--org", "acme", key.slice(0, 12));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /revoked/);
  assert.match((await asahi("keys", "list", "--org", "acme")).stdout, /revoked/);
  await restart();
  assert.equal(await works(key), false);
  assert.equal((await asahi("keys", "revoke", "--org", "acme", "ask_none_xyz")).code, 1);
});

test("keys refuses bad values with 2 and a word about them", async () => {
  for (const args of [
    ["keys"],
    ["keys", "revoke"],
    ["keys", "create", "--scopes", "everything-there-is"],
    ["keys", "create", "--expires-in-days", "0"],
    ["keys", "create", "--requests-per-minute", "few"],
  ]) {
    const { code, stdout, stderr } = await run_asahi(args);
    assert.equal(code, 2, `${args.join(" ")}: ${stdout}${stderr}`);
    assert.equal(stdout.match(/ask_/), null, "no key was made");
    assert.ok((stdout + stderr).length > 10, args.join(" "));
  }
});

test(
  "audit verify tells a whole chain from a changed one and names the first bad entry",
  { skip: find_program("sqlite3") ? false : "the sqlite3 program is not installed" },
  async (t) => {
    const { asahi, sqlite } = await start_with_keys(t);
    for (let i = 0; i < 4; ++i) assert.equal((await asahi("keys", "create", "--org", "acme")).code, 0);
    const verify = () => asahi("audit", "verify", "--org", "acme");
    const good = await verify();
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.match(good.stdout, /is whole: 4 entries checked/);
    const [, second] = await sqlite("SELECT entry_id FROM audit_entries WHERE org_id = 'acme' ORDER BY seq");
    const forgery = `UPDATE audit_entries SET user_id = 'somebody else' WHERE entry_id = '${second.entry_id}'`;
    await assert.rejects(sqlite(forgery), /only grows/);
    // Who owns the database can take the guards away, and is found out.
    const guards = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit_entries'";
    for (const { name } of await sqlite(guards)) await sqlite(`DROP TRIGGER ${name}`);
    await sqlite(forgery);
    const bad = await verify();
    assert.equal(bad.code, 1);
    assert.match(bad.stdout, /BROKEN/);
    assert.ok(bad.stdout.includes(second.entry_id), bad.stdout);
  },
);
