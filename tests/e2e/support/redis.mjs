/** A Redis server of our own: temporary folder, free port, can be stopped and started again with its data. */
import { createConnection } from "node:net";

import { find_program, free_port, Program, temp_folder } from "./processes.mjs";
import { until } from "./wait.mjs";

const redis_server = find_program("redis-server");

/** Why Redis cannot be used here, or undefined. For `test(…, {skip})`. */
export const redis_missing = () => (redis_server ? undefined : "redis-server is not installed");

export class Redis {
  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
    this.url = `redis://127.0.0.1:${port}/0`;
  }

  async start() {
    this.program = new Program(redis_server, [
      "--port",
      String(this.port),
      "--bind",
      "127.0.0.1",
      "--dir",
      this.folder,
      "--appendonly",
      "yes",
      "--save",
      "",
      "--daemonize",
      "no",
    ]);
    await until(async () => (await this.command("PING")) === "+PONG", { what: "Redis to answer", timeout_ms: 10_000 });
  }

  stop() {
    return this.program.stop();
  }

  /** One inline command; the first line of the raw reply. */
  command(line) {
    return new Promise((resolve, reject) => {
      const socket = createConnection(this.port, "127.0.0.1");
      let reply = "";
      socket.setTimeout(2000, () => socket.destroy(new Error("Redis did not answer")));
      socket.on("error", reject);
      socket.on("connect", () => socket.write(`${line}\r\n`));
      socket.on("data", (bytes) => {
        reply += bytes;
        if (!reply.includes("\r\n")) return;
        socket.destroy();
        resolve(reply.split("\r\n")[0]);
      });
    });
  }
}

export async function start_redis() {
  const server = new Redis(temp_folder("redis"), await free_port());
  await server.start();
  return server;
}
