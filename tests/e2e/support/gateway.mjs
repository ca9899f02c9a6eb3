/** The real binary on a free port with its own data folder; stopped and removed with the test. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { Program, run, temp_folder } from "./processes.mjs";
import { until } from "./wait.mjs";

const kDefaultBinary = fileURLToPath(new URL("../../../build/dev/asahi", import.meta.url));
const kCommand = ["serve"];
const kStartLimitMs = 20_000; // sanitizer builds on a busy machine

/** Vendor keys that the fakes accept, by vendor. */
const kKeys = {
  openai: { OPENAI_API_KEY: "test-openai" },
  anthropic: { ANTHROPIC_API_KEY: "test-anthropic" },
  google: { GOOGLE_API_KEY: "test-google" },
  deepseek: { DEEPSEEK_API_KEY: "test-deepseek" },
  mistral: { MISTRAL_API_KEY: "test-mistral" },
  cohere: { COHERE_API_KEY: "test-cohere" },
  ollama: {},
};

export function binary_path() {
  const path = resolve(process.env.ASAHI_BIN ?? kDefaultBinary);
  if (!existsSync(path)) throw new Error(`no binary at ${path}: build it, or set ASAHI_BIN`);
  return path;
}

/** The environment of a test: nothing of the developer's own settings comes through. */
export function clean_environment(extra) {
  const kept = ["PATH", "LANG", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"];
  const base = Object.fromEntries(kept.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
  return { ...base, HOME: "/nonexistent", ...extra };
}

/** Settings for a gateway over fake vendors: those in `vendors` have a key, the others none. */
function vendor_environment(fakes, vendors) {
  const env = {};
  for (const name of vendors)
    Object.assign(env, kKeys[name], { [`ASAHI_${name.toUpperCase()}_BASE_URL`]: fakes.base(name) });
  return env;
}

export class Gateway {
  constructor(program, folder, port, env) {
    this.program = program;
    this.folder = folder;
    this.port = port;
    this.env = env;
    this.url = `http://127.0.0.1:${port}`;
  }

  get pid() {
    return this.program.child.pid;
  }

  /**
   * A request; `body` is sent as JSON. Resolves to {status, headers, body} with the body parsed when it is JSON. A live
   * stream (GET) is left at its head: it has no end.
   */
  async call(method, path, body, headers = {}) {
    const sent =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    const response = await fetch(this.url + path, { method, headers, ...sent });
    if (method === "GET" && response.headers.get("content-type")?.startsWith("text/event-stream")) {
      await response.body.cancel();
      return { status: response.status, headers: response.headers, text: "", body: "" };
    }
    const text = await response.text();
    const json =
      (response.headers.get("content-type") ?? "").includes("json") &&
      !response.headers.get("content-type").includes("ndjson");
    return { status: response.status, headers: response.headers, text, body: json && text ? JSON.parse(text) : text };
  }

  get(path, headers) {
    return this.call("GET", path, undefined, headers);
  }

  post(path, body, headers) {
    return this.call("POST", path, body, headers);
  }

  delete(path, headers) {
    return this.call("DELETE", path, undefined, headers);
  }

  /** POST /infer that must succeed; the reply's body. */
  async infer(body, headers) {
    const reply = await this.post("/infer", typeof body === "string" ? { prompt: body } : body, headers);
    if (reply.status !== 200) throw new Error(`/infer answered ${reply.status}: ${reply.text}`);
    return reply.body;
  }

  /** A streamed POST; the fetch response, its body unread. */
  stream(path, body, { headers = {}, signal } = {}) {
    return fetch(this.url + path, {
      method: "POST",
      signal,
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
  }

  /** Log lines printed so far, parsed; lines that are no JSON are left out. */
  logs() {
    return this.program.stdout.split("\n").flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });
  }

  /** Events of the daily JSONL files written so far, oldest first. */
  events() {
    const folder = join(this.folder, "data", "logs");
    if (!existsSync(folder)) return [];
    const files = readdirSync(folder)
      .filter((name) => /^events_.*\.jsonl$/.test(name))
      .sort();
    return files.flatMap((name) =>
      readFileSync(join(folder, name), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    );
  }

  /** Rows of the embedded database, as objects of strings. */
  async sqlite(query) {
    const { code, stdout, stderr } = await run("sqlite3", [
      "-json",
      "-cmd",
      ".timeout 5000",
      join(this.folder, "data", "asahi.db"),
      query,
    ]);
    if (code !== 0) throw new Error(`sqlite3: ${stderr}`);
    return stdout.trim() ? JSON.parse(stdout) : [];
  }

  /** Resident memory in bytes. */
  resident_bytes() {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))[1]) * 1024;
  }

  /** SIGTERM; resolves to {code, signal}. */
  stop(grace_ms) {
    return this.program.stop(grace_ms);
  }

  /** kill -9. */
  kill() {
    return this.program.kill("SIGKILL");
  }
}

/**
 * Starts a gateway and waits until it is ready.
 * fakes: the fake vendors; vendors: those with keys (openai and anthropic); env: further variables;
 * config: text of config/config.yaml; folder: an existing data folder (restart); wait_ready: false returns on "listening".
 * Unless `env` says otherwise tiers 2 and 3 of the cache are off, so that similar prompts do not meet, and breakers hardly
 * ever open, so that one test's faults do not reach into the next.
 */
export async function start_gateway({
  fakes,
  vendors = ["openai", "anthropic"],
  env = {},
  config,
  folder = temp_folder("gateway"),
  wait_ready = true,
} = {}) {
  if (config !== undefined) {
    mkdirSync(join(folder, "config"), { recursive: true });
    writeFileSync(join(folder, "config", "config.yaml"), config);
  }
  const environment = clean_environment({
    ASAHI_PORT: "0",
    ASAHI_HOST: "127.0.0.1",
    ASAHI_WORKERS: "2",
    ASAHI_OBSERVABILITY_PROMETHEUS_PORT: "0",
    ASAHI_CACHE_TIER2_ENABLED: "false",
    ASAHI_CACHE_TIER3_ENABLED: "false",
    ASAHI_API_RATE_LIMIT_PER_MINUTE: "1000000",
    ASAHI_GOVERNANCE_DEFAULT_MAX_REQUESTS_PER_DAY: "1000000",
    ASAHI_PROVIDERS_BACKOFF_BASE_SECONDS: "0.05",
    ASAHI_PROVIDERS_BREAKER_FAILURES: "100",
    DATABASE_URL: "sqlite:///asahi.db",
    ...(fakes ? vendor_environment(fakes, vendors) : {}),
    ...env,
  });
  const program = new Program(binary_path(), kCommand, { cwd: folder, env: environment });
  const { port } = await program.output(find_listening, {
    what: 'a log line "listening" with its port',
    timeout_ms: kStartLimitMs,
  });
  const gateway = new Gateway(program, folder, port, environment);
  if (wait_ready) await ready(gateway);
  return gateway;
}

/** Starts a gateway again on the data folder and settings of one that ended. */
export function restart_gateway(ended, { fakes, vendors, env = {} } = {}) {
  return start_gateway({ fakes, vendors, folder: ended.folder, env: { ...ended.env, ...env } });
}

/** What the log line "listening" says, or undefined. */
export function find_listening(stdout) {
  for (const line of stdout.split("\n")) {
    if (!line.includes('"listening"')) continue;
    try {
      const told = JSON.parse(line);
      if (told.message === "listening" && told.port) return told;
    } catch {
      // a line still being written
    }
  }
  return undefined;
}

/** Waits until GET /health/ready answers 200. */
export const ready = (gateway, timeout_ms = kStartLimitMs) =>
  until(async () => (await fetch(`${gateway.url}/health/ready`)).status === 200, {
    what: "GET /health/ready to answer 200",
    timeout_ms,
  });

/** Runs a subcommand of the binary to its end in a fresh folder, or in `folder`. */
export function run_asahi(args, { env = {}, folder = temp_folder("cli"), timeout_ms = 30_000 } = {}) {
  return run(binary_path(), args, {
    cwd: folder,
    env: clean_environment({ DATABASE_URL: "sqlite:///asahi.db", ...env }),
    timeout_ms,
  });
}
