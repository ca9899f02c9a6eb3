/** The memory as processes of their own: one role each, on free ports, over one database and one bucket. */
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { binary_path, clean_environment, find_listening, Gateway } from "./gateway.mjs";
import { Program, run, temp_folder } from "./processes.mjs";

const kStartLimitMs = 20_000;
export const kStoreSecret = "the-secret-of-the-tests-0123456789abcdef";

/** A link called akosha to the binary: it behaves as `asahi memory`. */
export function akosha_path() {
  const path = join(temp_folder("akosha"), "akosha");
  if (!existsSync(path)) symlinkSync(binary_path(), path);
  return path;
}

/**
 * Starts a role and waits until it listens. `port`: 0 for any free one; `folder`: an existing data folder (restart).
 * The result calls its API; `metrics` is where its metrics are.
 */
export async function start_role(component, { env = {}, port = 0, folder = temp_folder(component) } = {}) {
  const environment = clean_environment({
    AKOSHA_COMPONENT: component,
    AKOSHA_HOST: "127.0.0.1",
    AKOSHA_API_PORT: String(port),
    AKOSHA_PROMETHEUS_PORT: "0",
    AKOSHA_STORE_SECRET: kStoreSecret,
    ASAHI_KEY_PEPPER: "pepper-of-the-tests-0123456789abcdef",
    AKOSHA_DISCOVERY_INTERVAL: "1",
    ASAHI_WORKERS: "2",
    DATABASE_URL: "sqlite:///asahi.db",
    ...env,
  });
  const program = new Program(akosha_path(), [], { cwd: folder, env: environment });
  const told = await program.output(find_listening, { what: `${component} to listen`, timeout_ms: kStartLimitMs });
  const role = new Gateway(program, folder, told.port, environment);
  role.component = component;
  role.metrics = `http://127.0.0.1:${told.metrics_port}`;
  return role;
}

/** Runs `akosha` to its end in a fresh folder. */
export const run_akosha = (args, env = {}) =>
  run(akosha_path(), args, {
    cwd: temp_folder("akosha-cli"),
    env: clean_environment({ DATABASE_URL: "sqlite:///asahi.db", ...env }),
    timeout_ms: 30_000,
  });
