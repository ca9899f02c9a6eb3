/** Kafka brokers as a program of their own (librdkafka's mock cluster). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

import { binary_path } from "./gateway.mjs";
import { Program } from "./processes.mjs";

/** The program that is built beside the server; undefined where it was not built. */
export function brokers_path() {
  const path = process.env.ASAHI_KAFKA_BROKERS ?? join(dirname(binary_path()), "src/storage/stream/kafka_brokers");
  return existsSync(path) ? path : undefined;
}

export class Brokers {
  #program;
  #answers = 0;

  constructor(program) {
    this.#program = program;
  }

  #answer(index, timeout_ms = 10_000) {
    return this.#program.output((out) => out.split("\n").filter((line) => line.endsWith("}"))[index], {
      what: "an answer of the brokers",
      timeout_ms,
    });
  }

  async hello() {
    this.bootstrap = JSON.parse(await this.#answer(this.#answers++)).bootstrap;
    return this;
  }

  async #tell(line, timeout_ms) {
    this.#program.child.stdin.write(`${line}\n`);
    return JSON.parse(await this.#answer(this.#answers++, timeout_ms));
  }

  stop() {
    return this.#tell("stop");
  }

  start() {
    return this.#tell("start");
  }

  /** Messages of a topic from its beginning, as soon as there are `count`: [{key, value}]. */
  async read(topic, count, timeout_ms = 20_000) {
    return (await this.#tell(`read ${topic} ${count} ${timeout_ms}`, timeout_ms + 10_000)).messages;
  }
}

export const start_brokers = () => new Brokers(new Program(brokers_path(), [])).hello();
