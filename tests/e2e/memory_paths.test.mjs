/** Where a process keeps its files: what is said, AKOSHA_ENV, and the move out of a project. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { run_akosha, start_role } from "./support/memory_roles.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";

after(stop_everything);

/** The rows of `asahi memory info` below "paths", by name: [path, origin]. */
async function paths(env, folder = temp_folder("paths")) {
  const { code, stdout, stderr } = await run_asahi(["memory", "info"], { env, folder });
  assert.equal(code, 0, stderr);
  const rows = stdout.split("paths\n")[1].trimEnd().split("\n");
  return Object.fromEntries(rows.map((row) => /^ {2}(.{12})(.*?) {2}\((.*)\)$/.exec(row)).map(([, name, path, origin]) => [name.trim(), [path, origin]]));
}

test("memory info says where each path comes from", async () => {
  const home = temp_folder("home");
  const plain = await paths({});
  assert.deepEqual(plain["data folder"], ["data", "default"], "as ever where nobody says anything");
  assert.deepEqual(plain.memory, ["data/memory", "below app.data_dir"]);
  const said = await paths({ ASAHI_DATA_DIR: "/srv/asahi", AKOSHA_ENV: "local", AKOSHA_WARM_PATH: "/ssd/warm", AKOSHA_DATA_PATH: "/srv/memory", AKOSHA_WAL_PATH: "/nvme/wal" });
  assert.deepEqual(said["data folder"], ["/srv/asahi", "environment ASAHI_DATA_DIR"], "what is said wins");
  assert.deepEqual(said.memory, ["/srv/memory", "environment AKOSHA_DATA_PATH"]);
  assert.deepEqual(said.warm, ["/ssd/warm", "environment AKOSHA_WARM_PATH"]);
  assert.deepEqual(said["hot and log"], ["/nvme/wal", "environment AKOSHA_WAL_PATH"]);
  assert.deepEqual(said.cold, ["/srv/memory/cold", "below memory.data_path"]);
  for (const [env, folder] of [
    [{ AKOSHA_ENV: "container" }, "/data/akosha"],
    [{ AKOSHA_ENV: "local", HOME: home }, `${home}/.local/share/akosha`],
    [{ AKOSHA_ENV: "local", XDG_DATA_HOME: "/xdg" }, "/xdg/akosha"],
    [{ AKOSHA_ENV: "development" }, "./.akosha/data"],
    [{ AKOSHA_ENV: "test" }, "/tmp/akosha/test"],
  ]) {
    const found = await paths(env);
    assert.deepEqual(found["data folder"], [folder, `AKOSHA_ENV=${env.AKOSHA_ENV}`]);
    assert.deepEqual(found.memory, [`${folder}/memory`, "below app.data_dir"]);
  }
  const wrong = await run_asahi(["memory", "info"], { env: { AKOSHA_ENV: "laptop" } });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /AKOSHA_ENV = 'laptop' must be auto, container, local, development or test/);
});

const kMemory = { memory_id: "a", system_id: "buddy", text: "The build broke on Monday." };

test("data moves out of the project, is found there, and comes back", async () => {
  const folder = temp_folder("project");
  const home = temp_folder("home");
  const target = join(home, ".local/share/akosha");
  const env = { HOME: home, AKOSHA_ENV: "local" };
  const migrate = (...args) => run_asahi(["memory", "migrate", ...args], { env, folder });

  const first = await start_gateway({ folder, env });
  assert.ok(existsSync(join(target, "asahi.db")), "a new installation begins there");
  assert.ok(!existsSync(join(folder, "data")), "the project is not written to");
  await first.stop();

  // One of before, in the project.
  const project = temp_folder("project");
  const before = await start_gateway({ folder: project });
  assert.equal((await before.post("/memory/memories", kMemory)).status, 200);
  const other_home = temp_folder("home");
  const there = join(other_home, ".local/share/akosha");
  const local = { HOME: other_home, AKOSHA_ENV: "local" };
  const moving = (...args) => run_asahi(["memory", "migrate", ...args], { env: local, folder: project });
  const busy = await moving("data", "--yes");
  assert.equal(busy.code, 1, busy.stderr);
  assert.match(busy.stderr, /another asahi process uses the data folder/);
  await before.stop();

  const found = await paths(local, project);
  assert.equal(found["data folder"][0], "data", "it is found until it is moved");
  const dry = await moving("data", "--dry-run");
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /\d+ files, \d+ bytes[\s\S]*dry run: nothing was moved/);
  assert.ok(!existsSync(there));
  const unasked = await moving("data");
  assert.equal(unasked.code, 2, unasked.stdout);
  assert.match(unasked.stderr, /say --yes/);

  const moved = await moving("data", "--yes");
  assert.equal(moved.code, 0, moved.stderr);
  assert.deepEqual(readdirSync(join(project, "data")).sort(), ["asahi.lock", "asahi.move.json"]);
  assert.match((await moving("status")).stdout, /^state +moved$/m);
  const lost = await run_asahi(["serve", "--mock", "--port", "0"], { folder: project });
  assert.equal(lost.code, 1, "nobody begins anew by mistake");
  assert.match(lost.stderr, /was moved to .*akosha: set ASAHI_DATA_DIR/);
  const after_move = await start_gateway({ folder: project, env: local });
  assert.equal((await after_move.get("/memory/memories/buddy/a")).status, 200);
  assert.equal((await after_move.post("/memory/memories", { ...kMemory, memory_id: "b" })).status, 200);
  await after_move.stop();

  const back = await moving("rollback", "--yes");
  assert.equal(back.code, 0, back.stderr);
  assert.match((await moving("status")).stdout, /^state +rolled_back$/m);
  const again = await start_gateway({ folder: project });
  for (const id of ["a", "b"]) assert.equal((await again.get(`/memory/memories/buddy/${id}`)).status, 200, id);
  assert.equal((await migrate("status")).code, 0);
});

test("a folder that no server wrote is not moved", async () => {
  const folder = temp_folder("project");
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "data", "cat.jpg"), "cat");
  const { code, stderr } = await run_akosha(["migrate", "data", "--yes", "--from-path", join(folder, "data"), "--to-path", temp_folder("to")]);
  assert.equal(code, 1);
  assert.match(stderr, /has no data of a server/);
});

test("start takes its flags, and an unknown mode lists those there are", async () => {
  const wrong = await run_akosha(["start", "--mode", "heavy"]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /unknown mode 'heavy'; valid modes: lite, standard/);
  for (const words of [["start"], ["mcp", "start"]]) {
    const help = await run_akosha([...words, "--help"]);
    for (const flag of ["--host", "--port", "--mode", "--config", "--verbose", "--instance-id"])
      assert.ok(help.stdout.includes(flag), `${words.join(" ")} ${flag}`);
  }
  const role = await start_role("all", { env: { AKOSHA_WS_ENABLED: "false" } });
  for (const words of [["healthcheck"], ["metrics"]]) {
    const { code, stdout, stderr } = await run_akosha([...words, "--port", String(role.port), "--host", "127.0.0.1", "--mode", "lite"]);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.length > 0);
  }
  assert.match((await run_akosha(["version"])).stdout, /^akosha \d/);
  assert.match((await run_akosha(["info"])).stdout, /component +all.*\nmode +lite\nvector_db.*\ngraph_db.*\nanalytics.*\nalerting/);
  assert.match((await run_akosha(["modes"])).stdout, /lite[\s\S]*standard/);
});
