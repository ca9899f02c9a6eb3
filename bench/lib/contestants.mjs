/** The servers that are measured, all in front of the same fake vendor. Each is {name, port, pid, headers}. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { cpu_of, free_port, honour_niceness, nginx_program, start, until_answers, worker_of } from "./system.mjs";

export const scratch = mkdtempSync(path.join(os.tmpdir(), "asahi-bench-"));

export async function start_upstream() {
  const server = start("upstream", cpu_of.upstream, ["build/release/bench/bench_upstream"]);
  const { port } = JSON.parse(await server.first_line);
  return { name: "direct", port, pid: server.pid, server, headers: [] };
}

export async function start_nginx(upstream) {
  if (!nginx_program) return null;
  const port = await free_port();
  const dir = path.join(scratch, "nginx");
  mkdirSync(dir, { recursive: true });
  // Buffering off, so that stream chunks leave as they come; answers of one read are not slowed by it.
  writeFileSync(
    path.join(dir, "nginx.conf"),
    `worker_processes 1;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log;
daemon off;
${process.getuid() === 0 ? "user root;" : ""}
events { worker_connections 8192; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  upstream vendor { server 127.0.0.1:${upstream.port}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://vendor;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`,
  );
  const server = start("nginx", cpu_of.gateway, [nginx_program, "-p", dir, "-c", path.join(dir, "nginx.conf"), "-e", path.join(dir, "error.log")]);
  await until_answers(server, `http://127.0.0.1:${port}/v1/models`);
  return { name: "nginx", port, pid: worker_of(server.pid), server, headers: [] };
}

export async function start_portkey(upstream) {
  const port = await free_port();
  const server = start(
    "portkey",
    cpu_of.gateway,
    [process.execPath, "bench/node_modules/@portkey-ai/gateway/build/start-server.js", `--port=${port}`, "--headless"],
    { env: { ...process.env, NODE_ENV: "production" } },
  );
  await until_answers(server, `http://127.0.0.1:${port}/`);
  const headers = ["x-portkey-provider: openai", `x-portkey-custom-host: http://127.0.0.1:${upstream.port}/v1`];
  return { name: "portkey", port, pid: server.pid, server, headers };
}

let data_folders = 0;

/** Command line and environment of one gateway: one event loop, records to SQLite and daily files, as by default. */
export function asahi_command(upstream, port, more = {}) {
  const environment = {
    ASAHI_DATA_DIR: path.join(scratch, `data-${++data_folders}`),
    ASAHI_OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}`,
    OPENAI_API_KEY: "sk-bench",
    ASAHI_OBSERVABILITY_PROMETHEUS_PORT: "0",
    LOG_LEVEL: "WARNING",
    ...more,
  };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return ["env", ...assignments, "build/release/asahi", "gateway", "--env-file", "/dev/null", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
}

export async function start_asahi(upstream, name = "asahi", more = {}) {
  const port = await free_port();
  const server = start(name, cpu_of.gateway, asahi_command(upstream, port, more));
  await until_answers(server, `http://127.0.0.1:${port}/health/ready`);
  honour_niceness(server.pid);
  return { name, port, pid: server.pid, server, headers: [] };
}

const kOperator = { "x-admin-secret": "operator-secret-of-the-benchmarks", "content-type": "application/json" };

async function administer(contestant, method, path, body) {
  const response = await fetch(`http://127.0.0.1:${contestant.port}${path}`, { method, headers: kOperator, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${contestant.name}: ${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** Requests and tokens per minute that no load reaches. */
const kMinute = { requests_per_minute: 1_000_000_000, tokens_per_minute: 1_000_000_000 };

/** A new organisation with all its rules; the API key of its one user. */
async function found_organisation(contestant, org_id, audited) {
  await administer(contestant, "POST", "/tenants", { org_id, name: org_id, plan: "enterprise" });
  await administer(contestant, "PUT", `/governance/policies/${org_id}`, {
    allowed_models: ["gpt-*"],
    blocked_models: ["gpt-4-32k"],
    max_cost_per_day: 1_000_000,
    max_cost_per_month: 1_000_000,
    max_cost_per_request: 10,
    max_requests_per_day: 1_000_000_000,
    max_requests_per_month: 1_000_000_000,
    rate_limit_per_minute: kMinute.requests_per_minute,
    tokens_per_minute: kMinute.tokens_per_minute,
    per_user: kMinute,
    per_model: { "gpt-4o-mini": kMinute },
    require_audit_log: audited,
  });
  await administer(contestant, "PUT", `/governance/compliance/profile/${org_id}`, { pii_detection_enabled: true, pii_action: "redact" });
  const { api_key } = await administer(contestant, "POST", "/governance/api-keys", {
    org_id,
    user_id: "benchmark",
    scopes: ["infer"],
    rate_limit_per_minute: kMinute.requests_per_minute,
    tokens_per_minute: kMinute.tokens_per_minute,
  });
  return api_key;
}

/**
 * A gateway with every rule in force and none of them in the way: a credential is required; requests and tokens per minute
 * are limited by key, user, organisation and model (addresses are for those without a credential); the organisation has
 * budgets of requests and money and a list of models, personal data is masked, prompts are screened for injections.
 * `audited`: each call also waits for its entry in the audit log. `visit` gives the contestant with the key of a new
 * organisation, since the largest plan ends at 100,000 requests a day, and `used`: what its budgets counted.
 */
export async function start_governed_asahi(upstream, { audited = false } = {}) {
  const contestant = await start_asahi(upstream, audited ? "asahi governed, audited" : "asahi governed", {
    ASAHI_AUTH_API_KEY_REQUIRED: "true",
    ASAHI_ADMIN_SECRET: kOperator["x-admin-secret"],
    ASAHI_SECURITY_INJECTION_ACTION: "block",
  });
  let organisations = 0;
  const visit = async () => {
    const org_id = `bench-${++organisations}`;
    const key = await found_organisation(contestant, org_id, audited);
    const used = async () => (await administer(contestant, "GET", `/governance/usage?org_id=${org_id}`)).budget;
    return { ...contestant, key, used };
  };
  return { ...contestant, visit };
}
