/** Event files go to S3 when their day is over, obey erasures there, come back, and wait while S3 has a bad day. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { binary_path, start_gateway } from "./support/gateway.mjs";
import { run, stop_everything, temp_folder } from "./support/processes.mjs";
import { s3_missing as skip, start_s3 } from "./support/s3.mjs";
import { until } from "./support/wait.mjs";

const day = (age) => new Date(Date.now() - age * 86_400_000).toISOString().slice(0, 10);
const file = (age) => `events_${day(age)}.jsonl`;
const line = (age, user, number) =>
  `${JSON.stringify({
    event_id: `01OLD${String(number).padStart(21, "0")}`,
    request_id: `req_old${number}`,
    timestamp: `${day(age)}T10:00:00.000Z`,
    event_type: "inference",
    org_id: "default",
    user_id: user,
    model_used: "gpt-4o",
    cost: 0.001,
  })}\n`;

let s3, gateway, env;
const folder = temp_folder("gateway");
const logs = join(folder, "data", "logs");

/** The nightly job, now; its end as a row of the queue. */
let runs = 0;
async function retention() {
  const id = `job_test_${++runs}`;
  const node = readFileSync(join(folder, "data", "node_id"), "utf8").trim();
  await gateway.sqlite(`INSERT INTO jobs_queue (id, org_id, kind, payload, state, priority, attempt, max_attempts, fence,
    run_at_ms, due_at_ms, created_at_ms) VALUES ('${id}', '', 'gateway.retention.${node}', '{}', 'queued', 0, 0, 1, 0, 1, 1, 1)`);
  return until(
    async () => {
      const [row] = await gateway.sqlite(`SELECT state, last_error FROM jobs_queue WHERE id = '${id}'`);
      return row === undefined || row.state === "done" || row.state === "dead" ? (row ?? { state: "done" }) : null;
    },
    { what: "the retention job", timeout_ms: 60_000, every_ms: 100 },
  );
}

async function restored(first, last) {
  const out = temp_folder("restored");
  const { code, stderr } = await run(binary_path(), ["events", "restore", "--first", first, "--last", last, "--out", out], {
    cwd: folder,
    env: { ...process.env, ...env, ASAHI_DATA_DIR: "data" },
  });
  assert.equal(code, 0, stderr);
  return readdirSync(out)
    .flatMap((node) => readdirSync(join(out, node)).map((name) => readFileSync(join(out, node, name), "utf8")))
    .flatMap((text) => text.trim().split("\n").map((each) => JSON.parse(each).user_id));
}

before(async () => {
  if (skip) return;
  mkdirSync(logs, { recursive: true });
  writeFileSync(join(logs, file(3)), line(3, "ann", 1) + line(3, "bob", 2));
  writeFileSync(join(logs, file(2)), line(2, "ann", 3) + line(2, "cid", 4));
  s3 = await start_s3();
  env = { ...s3.env, ASAHI_TRACKING_ARCHIVE_URL: "s3://archive/asahi", ASAHI_TRACKING_ARCHIVE_LOCAL_DAYS: "1" };
  gateway = await start_gateway({ fakes: await start_fakes(), folder, env });
  await gateway.infer("a request of today");
  await until(async () => (await gateway.sqlite("SELECT id FROM inference_events WHERE request_id NOT LIKE 'req_old%'")).length === 1, {
    what: "the event of today in the table",
  });
});
after(stop_everything);

test("files wait here while S3 refuses them", { skip }, async () => {
  await s3.fault({ kind: "status", status: 403, code: "AccessDenied", method: "PUT", times: 99 });
  const { state } = await retention();
  assert.equal(state, "dead");
  assert.ok(existsSync(join(logs, file(3))) && existsSync(join(logs, file(2))));
  assert.ok(gateway.logs().some(({ message, error }) => /archive/.test(message) && /AccessDenied/.test(error)));
  await s3.reset();
});

test("days that are over are stored, read back, and leave", { skip }, async () => {
  await s3.fault({ kind: "status", status: 503, code: "SlowDown", times: 2 });
  await s3.fault({ kind: "cut", method: "GET", key: "jsonl.gz" });
  assert.equal((await retention()).state, "done");
  assert.ok(!existsSync(join(logs, file(3))) && !existsSync(join(logs, file(2))));
  assert.ok(existsSync(join(logs, file(0))));
  const requests = await s3.requests();
  for (const age of [3, 2]) {
    assert.ok(requests.some((each) => each.startsWith(`PUT /archive/asahi/events/${day(age)}/node_`)), requests.join("\n"));
    assert.ok(requests.some((each) => each.startsWith(`GET /archive/asahi/events/${day(age)}/node_`)));
  }
  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.match(text, /asahi_event_archive_files_total\{result="stored"\} 2/);
  assert.match(text, /asahi_event_archive_waiting_files 0/);
  assert.deepEqual(await restored(day(3), day(2)), ["ann", "bob", "ann", "cid"]);
});

test("an erased user is gone from the archive too", { skip }, async () => {
  const erased = await gateway.delete("/governance/gdpr/data?user_id=ann");
  assert.equal(erased.status, 200, erased.text);
  assert.equal((await retention()).state, "done");
  assert.deepEqual(await restored(day(3), day(2)), ["bob", "cid"]);
});
