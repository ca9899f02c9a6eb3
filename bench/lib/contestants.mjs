/** The servers that are measured, all in front of the same fake vendor. Each is {name, port, pid, path, headers}. */
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
export function asahi_command(upstream, port) {
  const environment = {
    ASAHI_DATA_DIR: path.join(scratch, `data-${++data_folders}`),
    ASAHI_OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}`,
    OPENAI_API_KEY: "sk-bench",
    ASAHI_OBSERVABILITY_PROMETHEUS_PORT: "0",
    LOG_LEVEL: "WARNING",
  };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return ["env", ...assignments, "build/release/asahi", "gateway", "--env-file", "/dev/null", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
}

export async function start_asahi(upstream) {
  const port = await free_port();
  const server = start("asahi", cpu_of.gateway, asahi_command(upstream, port));
  await until_answers(server, `http://127.0.0.1:${port}/health/ready`);
  honour_niceness(server.pid);
  return { name: "asahi", port, pid: server.pid, server, headers: [] };
}
