/** A PostgreSQL server of our own: temporary data folder, free port, can be stopped and started again. */
import { chownSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { find_program, free_port, Program, run, temp_folder } from "./processes.mjs";
import { until } from "./wait.mjs";

const kPlaces = ["/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin"];
const initdb = find_program("initdb", kPlaces);
const postgres = find_program("postgres", kPlaces);
const psql = find_program("psql", kPlaces);

/** PostgreSQL refuses to run as root: its package's own user does it then. Empty when we are not root. */
function owner() {
  if (process.getuid() !== 0) return {};
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("postgres:"));
  if (!line) return undefined;
  const [, , uid, gid] = line.split(":").map(Number);
  return { uid, gid };
}

/** Why PostgreSQL cannot be used here, or undefined. For `test(…, {skip})`. */
export function postgres_missing() {
  if (!initdb || !postgres || !psql) return "PostgreSQL's programs are not installed";
  if (!owner()) return "PostgreSQL refuses to run as root and there is no user postgres";
  return undefined;
}

export class Postgres {
  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
    this.url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  }

  async start() {
    const settings = [
      `port=${this.port}`,
      "listen_addresses=127.0.0.1",
      `unix_socket_directories=${this.folder}`,
      "shared_buffers=32MB",
      "max_connections=60",
    ];
    this.program = new Program(
      postgres,
      ["-D", join(this.folder, "data"), ...settings.flatMap((setting) => ["-c", setting])],
      { cwd: this.folder, ...owner() },
    );
    await until(() => this.query("SELECT 1"), {
      what: "PostgreSQL to accept connections",
      timeout_ms: 20_000,
      every_ms: 50,
    });
  }

  /** Ends at once, as a crash does: connections are cut. */
  stop() {
    return this.program.kill("SIGQUIT");
  }

  /** Rows of a query as objects. */
  async query(sql) {
    const wrapped = `SELECT coalesce(json_agg(t), '[]') FROM (${sql}) t`;
    const { code, stdout, stderr } = await run(psql, ["-X", "-A", "-t", "-q", "-d", this.url, "-c", wrapped], {
      timeout_ms: 10_000,
    });
    if (code !== 0) throw new Error(`psql: ${stderr.trim()}`);
    return JSON.parse(stdout);
  }
}

/** Initialises and starts a server. */
export async function start_postgres() {
  const folder = temp_folder("postgres");
  const { uid, gid } = owner();
  if (uid !== undefined) chownSync(folder, uid, gid);
  const { code, stderr } = await run(
    initdb,
    ["-D", join(folder, "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
    { cwd: folder, timeout_ms: 60_000, ...owner() },
  );
  if (code !== 0) throw new Error(`initdb: ${stderr}`);
  const server = new Postgres(folder, await free_port());
  await server.start();
  return server;
}
