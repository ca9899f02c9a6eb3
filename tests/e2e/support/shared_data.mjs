/** Evaluation data that stands beside the repository and never in it: tests skip visibly where it is absent. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = process.env.ASAHI_DATA_ROOT ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));

/** Why a data file cannot be used, or undefined. */
export const data_missing = (name) =>
  existsSync(join(root, name)) ? undefined : `${name} is not at ${root} (set ASAHI_DATA_ROOT)`;

/** Up to `limit` rows of a JSON Lines file. */
export const read_rows = (name, limit = Infinity) =>
  readFileSync(join(root, name), "utf8")
    .split("\n")
    .filter(Boolean)
    .slice(0, limit)
    .map((line) => JSON.parse(line));
