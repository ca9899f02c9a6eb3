/** The real server on a folder of its own, for the parts of the memory bench that go over HTTP. */
import { free_port, sleep, start } from "../lib/system.mjs";

export const kBuild = process.env.ASAHI_BENCH_BUILD ?? "build/release";
export const kServer = `${kBuild}/asahi`;
const kLongestStart = 180_000;
const kLongestEnd = 60_000;
const kAllCpus = "0-1023"; // taskset takes those that there are

export async function start_server(folder) {
  const port = await free_port();
  const environment = {
    ASAHI_DATA_DIR: folder,
    ASAHI_OBSERVABILITY_PROMETHEUS_PORT: "0",
    LOG_LEVEL: "WARNING",
  };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const began = performance.now();
  const server = start("memory", kAllCpus, [
    "env", ...assignments, kServer, "serve", "--mock", "--env-file", "/dev/null", "--host", "127.0.0.1", "--port", String(port),
  ]);
  for (;;) {
    if (server.child.exitCode !== null || performance.now() - began > kLongestStart) throw new Error(`the server did not start: ${server.output}`);
    const reply = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null);
    if (reply?.status === 200) return { server, port, ready_s: (performance.now() - began) / 1000 };
    await sleep(5);
  }
}

/** In order: a large store writes its checkpoint. */
export async function end_server(server) {
  const late = setTimeout(() => server.child.kill("SIGKILL"), kLongestEnd);
  server.child.kill("SIGTERM");
  await server.exited;
  clearTimeout(late);
}
