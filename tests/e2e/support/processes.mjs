/** Child processes and temporary folders that never outlive the test process. */
import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { within } from "./wait.mjs";

const kMaxOutput = 4 * 1024 * 1024;
const running = new Set();
const folders = new Set();

/** A started program: its output so far, its end as a promise. */
export class Program {
  stdout = "";
  stderr = "";
  #waiting = new Set();

  constructor(command, args, options = {}) {
    this.name = command.split("/").at(-1);
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
    running.add(this);
    this.child.stdin.on("error", () => {}); // the program may close its input before we do
    this.child.stdout.setEncoding("utf8").on("data", (text) => this.#take("stdout", text));
    this.child.stderr.setEncoding("utf8").on("data", (text) => this.#take("stderr", text));
    /** Resolves to {code, signal} when the program has ended. */
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.stderr += `\n${error.message}`;
        resolve({ code: 127, signal: null });
      });
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      running.delete(this);
      this.end = end;
      for (const wake of this.#waiting) wake();
      return end;
    });
  }

  #take(stream, text) {
    this[stream] = (this[stream] + text).slice(-kMaxOutput);
    for (const wake of this.#waiting) wake();
  }

  /** Waits until `find(stdout)` gives something; fails when the program ends or `timeout_ms` pass first. */
  async output(find, { what, timeout_ms = 10_000 }) {
    let wake;
    const found = new Promise((resolve, reject) => {
      wake = () => {
        const result = find(this.stdout);
        if (result !== undefined && result !== null) resolve(result);
        else if (this.end)
          reject(new Error(`${this.name} ended with ${JSON.stringify(this.end)} before ${what}: ${this.tail()}`));
      };
    });
    this.#waiting.add(wake);
    wake();
    try {
      return await within(timeout_ms, `${this.name}: ${what}`, found);
    } catch (error) {
      throw new Error(`${error.message}\n${this.tail()}`, { cause: error });
    } finally {
      this.#waiting.delete(wake);
    }
  }

  /** The last lines it printed, for failure messages. */
  tail() {
    return `${this.stdout.slice(-2000)}\n${this.stderr.slice(-2000)}`.trim();
  }

  kill(signal = "SIGKILL") {
    this.child.kill(signal);
    return this.ended;
  }

  /** SIGTERM, and SIGKILL when that takes longer than `grace_ms`. Resolves to {code, signal}. */
  async stop(grace_ms = 10_000) {
    if (this.end) return this.end;
    this.child.kill("SIGTERM");
    try {
      return await within(grace_ms, `${this.name}: end after SIGTERM`, this.ended);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }
}

/** Runs a program to its end. Returns {code, stdout, stderr}; it is killed after `timeout_ms`. */
export async function run(command, args, { timeout_ms = 15_000, input, ...options } = {}) {
  const program = new Program(command, args, options);
  program.child.stdin.end(input ?? "");
  try {
    const { code } = await within(timeout_ms, `${command} ${args.join(" ")}`, program.ended);
    return { code, stdout: program.stdout, stderr: program.stderr };
  } catch (error) {
    await program.kill();
    throw error;
  }
}

/** A fresh folder, removed when the tests end. */
export function temp_folder(name) {
  const path = mkdtempSync(join(tmpdir(), `asahi-e2e-${name}-`));
  folders.add(path);
  return path;
}

/** A TCP port nobody listens on at this moment. */
export function free_port() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The program's path when it can be run, else undefined. */
export function find_program(name, further_places = []) {
  const places = [...(process.env.PATH ?? "").split(":"), ...further_places];
  return places
    .map((place) => join(place, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Kills every program and removes every folder; for `after` at the top of a test file. */
export async function stop_everything() {
  await Promise.all([...running].map((program) => program.kill()));
  for (const path of folders) rmSync(path, { recursive: true, force: true });
  folders.clear();
}

process.on("exit", () => {
  for (const program of running) program.child.kill("SIGKILL");
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});
