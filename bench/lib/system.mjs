/** Processes, memory and the machine: what the benchmarks need of the operating system. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import { promisify } from "node:util";

const run_file = promisify(execFile);

/** Which CPU does what: the server under test has one for itself, the tools share the others. */
const kCpus = os.cpus().length;
export const cpu_of = { gateway: 0, upstream: kCpus > 1 ? 1 : 0, load: kCpus > 2 ? 2 : kCpus > 1 ? 1 : 0 };

let prefix = [];
/** Real-time scheduling for everything started from here on: for machines on which others work too. */
export function use_realtime() {
  prefix = ["chrt", "-r", "5"];
}

/** Real-time scheduling knows no niceness: threads that stepped back by themselves go back to where that counts. */
export function honour_niceness(pid) {
  if (prefix.length === 0) return;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    const nice = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
    if (nice > 0) execFileSync("chrt", ["-o", "-p", "0", thread]);
  }
}

export function move(server, cpu) {
  execFileSync("taskset", ["-a", "-c", "-p", String(cpu), String(server.pid)], { stdio: "ignore" });
}

export function pinned(cpu, command) {
  return [...prefix, "taskset", "-c", String(cpu), ...command];
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function free_port() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const running = new Set();

/** Starts a server on its CPU. `exited` settles when it ends; its last output is kept for error messages. */
export function start(name, cpu, command, options = {}) {
  const [program, ...args] = pinned(cpu, command);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const server = { name, child, pid: child.pid, output: "", first_line: null };
  server.first_line = new Promise((resolve) => {
    child.stdout.on("data", (data) => {
      server.output = (server.output + data).slice(-4000);
      if (server.output.includes("\n")) resolve(server.output.split("\n")[0]);
    });
  });
  child.stderr.on("data", (data) => (server.output = (server.output + data).slice(-4000)));
  server.exited = new Promise((resolve) => child.on("exit", (code) => resolve(code)));
  running.add(server);
  server.exited.then(() => running.delete(server));
  return server;
}

export async function stop(server) {
  if (!running.has(server)) return;
  server.child.kill("SIGTERM");
  const late = setTimeout(() => server.child.kill("SIGKILL"), 5000);
  await server.exited;
  clearTimeout(late);
}

export async function stop_all() {
  await Promise.all([...running].map(stop));
}

/** Waits until a GET of the URL answers at all. */
export async function until_answers(server, url) {
  for (let i = 0; i < 300; ++i) {
    if (!running.has(server)) throw new Error(`${server.name} ended at once: ${server.output}`);
    try {
      await fetch(url);
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`${server.name} did not answer at ${url}: ${server.output}`);
}

/** The process that does the work: nginx's worker rather than its master. */
export function worker_of(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? pid : Number(children.split(" ")[0]);
}

/** Resident memory in MiB: now, and the most since reset_peak. */
export function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))[1]) / 1024;
  return { now: field("VmRSS"), peak: field("VmHWM"), anonymous: field("RssAnon") };
}

export function reset_peak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

const kLoad = "build/release/bench/bench_load";

/** Runs the load generator with {flag: value} options; headers is a list. Returns its report. */
export async function load(options, { headers = [], command = [], cpu = cpu_of.load } = {}) {
  const args = Object.entries(options).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  for (const header of headers) args.push("--header", header);
  if (command.length > 0) args.push("--", ...command);
  const [program, ...rest] = pinned(cpu, [kLoad, ...args]);
  try {
    const { stdout } = await run_file(program, rest);
    return JSON.parse(stdout);
  } catch (error) {
    if (error.stdout) return JSON.parse(error.stdout);
    throw new Error(`bench_load failed: ${error.stderr || error.message}`);
  }
}

function version_of(command, args, pattern) {
  try {
    const text = execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
    return text.match(pattern)?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}

export const nginx_program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"].find(existsSync);

export function machine() {
  const nginx = nginx_program
    ? execFileSync("sh", ["-c", `${nginx_program} -v 2>&1`], { encoding: "utf8" }).trim().replace("nginx version: ", "")
    : "not installed";
  const portkey = "bench/node_modules/@portkey-ai/gateway/package.json";  // not there for the memory module's parts
  return {
    cpu: os.cpus()[0].model,
    cpus: kCpus,
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    load_before: os.loadavg()[0],
    compiler: version_of("clang++-19", ["--version"], /version ([\d.]+)/),
    commit: version_of("git", ["rev-parse", "--short", "HEAD"], /(\S+)/),
    nginx,
    node: process.version,
    portkey: existsSync(portkey) ? JSON.parse(readFileSync(portkey, "utf8")).version : "not installed",
  };
}
