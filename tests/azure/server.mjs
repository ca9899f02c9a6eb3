// Azurite's Blob service on a free port, in memory, with a container. Usage: node server.mjs FOLDER CONTAINER
// Prints "ready PORT"; ends when its input ends. Account and key are the emulator's well-known ones, in azure_server.cc.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(import.meta.url);
const BlobConfiguration = require("azurite/dist/src/blob/BlobConfiguration").default;
const BlobServer = require("azurite/dist/src/blob/BlobServer").default;

const [folder, container] = process.argv.slice(2);
const account = "devstoreaccount1";
const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const server = new BlobServer(
  new BlobConfiguration(
    "127.0.0.1",
    0,
    5,
    join(folder, "blobs"),
    join(folder, "extents"),
    [{ locationId: "Default", locationPath: join(folder, "bytes"), maxConcurrency: 10 }],
    false,
    undefined,
    false,
    undefined,
    false,
    false,
    "",
    "",
    "",
    undefined,
    false,
    true,
  ),
);
await server.start();
const address = server.getHttpServerAddress();

const date = new Date().toUTCString();
const version = "2021-08-06";
const toSign = [
  ..."PUT\n\n\n\n\n\n\n\n\n\n\n".split("\n"),
  `x-ms-date:${date}`,
  `x-ms-version:${version}`,
  `/${account}/${account}/${container}`,
  "restype:container",
].join("\n");
const signature = createHmac("sha256", Buffer.from(key, "base64")).update(toSign).digest("base64");
const made = await fetch(`${address}/${account}/${container}?restype=container`, {
  method: "PUT",
  headers: { "x-ms-date": date, "x-ms-version": version, authorization: `SharedKey ${account}:${signature}` },
});
if (made.status !== 201) throw new Error(`no container: ${made.status} ${await made.text()}`);
process.stdout.write(`ready ${new URL(address).port}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
