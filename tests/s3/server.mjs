// A real S3-protocol server (npm s3rver) for tests. In front of it stands what s3rver lacks: a check of every signature
// and checksum, conditional puts, lists in the order of keys, ranges that end behind the object, a word about uploads
// that are over; and faults on demand. Usage:
//   node --openssl-legacy-provider server.mjs FOLDER BUCKET…
// Prints "ready PORT"; ends when its input ends. POST /_control takes {"fault": {…}} (see `faulty`), {"token": "…"} or
// {"reset": true}; GET /_control answers with the requests since the last time.
import { createServer, request as httpRequest } from "node:http";

import S3rver from "s3rver";

import { google } from "./google.mjs";
import { checkSignature, ownHeaders } from "./signature.mjs";

const [folder, ...buckets] = process.argv.slice(2);
const region = "us-east-1";
const keys = { S3RVER: "S3RVER" };
let token;
let faults = [];
let log = [];

const s3 = new S3rver({
  address: "127.0.0.1",
  port: 0,
  directory: folder,
  silent: true,
  allowMismatchedSignatures: true,
  configureBuckets: buckets.map((name) => ({ name })),
});
const { port: behind } = await s3.run();

const read = async (stream) => {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
};

/** One exchange with s3rver. */
const ask = (method, path, headers, body) =>
  new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port: behind, method, path, headers: { ...headers, host: `127.0.0.1:${behind}` } },
      async (answer) => {
        try {
          resolve({ status: answer.statusCode, headers: answer.headers, body: await read(answer) });
        } catch (error) {
          reject(error);
        }
      },
    );
    request.on("error", reject);
    request.end(body);
  });

const error = (status, code, message, headers = {}) => ({
  status,
  headers: { "content-type": "application/xml", ...headers },
  body: Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`,
  ),
});

const headOf = async (path, headers) => {
  const { authorization, "x-amz-date": date, "x-amz-content-sha256": hash } = headers;
  const there = await ask("HEAD", path.split("?")[0], {
    authorization,
    "x-amz-date": date,
    "x-amz-content-sha256": hash,
  });
  return there.status === 200 ? there.headers : undefined;
};
const etagOf = async (path, headers) => (await headOf(path, headers))?.etag;

/** What of the keys goes on behind a delimiter after the prefix stands as one common prefix. */
function rolledUp(items, keyOf, prefix, delimiter, encoded) {
  const shown = [];
  let last;
  for (const item of items) {
    const written = keyOf(item).toString("utf8");
    const key = encoded ? decodeURIComponent(written.replaceAll("+", " ")) : written;
    const end = key.indexOf(delimiter, prefix.length);
    if (end < 0) {
      shown.push(item);
      continue;
    }
    const common = key.slice(0, end + delimiter.length);
    if (common === last) continue;
    last = common;
    const name = encoded ? encodeURIComponent(common).replaceAll("%2F", "/") : common;
    shown.push(`<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`);
  }
  return shown;
}

/** A page of a list in the order that S3 promises; s3rver walks folders. */
async function list(path, headers) {
  const [bucket, query] = path.split("?");
  const asked = new URLSearchParams(query);
  const limit = Number(asked.get("max-keys") ?? 1000);
  asked.set("max-keys", "1000");
  const delimiter = asked.get("delimiter");
  asked.delete("delimiter");
  const all = await ask("GET", `${bucket}?${asked}`, headers);
  const text = all.body.toString("utf8");
  const items = text.match(/<Contents>.*?<\/Contents>/gs) ?? [];
  const keyOf = (item) => Buffer.from(/<Key>(.*?)<\/Key>/s.exec(item)[1], "utf8");
  items.sort((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
  const rest = text.replace(/<Contents>.*<\/Contents>/gs, "").replace(/<IsTruncated>.*?<\/IsTruncated>/, "");
  const encoded = text.includes("<EncodingType>url");
  const shown = delimiter === null ? items : rolledUp(items, keyOf, asked.get("prefix") ?? "", delimiter, encoded);
  const page = `${shown.slice(0, limit).join("")}<IsTruncated>${shown.length > limit}</IsTruncated></ListBucketResult>`;
  return { ...all, body: Buffer.from(rest.replace("</ListBucketResult>", page)) };
}
const over = new Set();

let turn = Promise.resolve();
/** Changes under a condition one after the other, as S3 takes them. */
const inTurn = (work) => {
  const done = turn.then(work);
  turn = done.catch(() => {});
  return done;
};

async function answer({ method, path, headers, body }) {
  const { "if-match": match, "if-none-match": noneMatch, ...rest } = headers;
  const forward = () => ask(method, path, rest, body);
  const failed = () => error(412, "PreconditionFailed", "At least one of the conditions did not hold");
  const conditional = () =>
    inTurn(async () => {
      const etag = await etagOf(path, rest);
      if (noneMatch === "*" && etag !== undefined) return failed();
      if (match !== undefined && etag === undefined) return error(404, "NoSuchKey", "There is none");
      if (match !== undefined && etag !== match) return failed();
      return forward();
    });
  const completes = method === "POST" && path.includes("uploadId=");
  if (method === "GET" && path.includes("list-type=2")) return list(path, rest);
  if (completes) {
    if (over.has(path)) return error(404, "NoSuchUpload", "This upload is over");
    const done = await ((match ?? noneMatch) === undefined ? forward() : conditional());
    if (done.status === 200) over.add(path);
    return done;
  }
  if (method === "GET") {
    const there = await headOf(path, rest);
    if (there === undefined) return forward();
    if (match !== undefined && there.etag !== match) return failed();
    const range = /^bytes=(\d+)-(\d*)$/.exec(rest.range ?? "");
    const size = Number(there["content-length"]);
    if (range && Number(range[1]) >= size) return error(416, "InvalidRange", "The object ends before");
    if (range) rest.range = `bytes=${range[1]}-${Math.min(size - 1, Number(range[2] || size - 1))}`;
    return forward();
  }
  return method === "PUT" && (match ?? noneMatch) !== undefined ? conditional() : forward();
}

const inGoogle = google({ answer, inTurn, error });
const served = (request) => (ownHeaders(request.headers) === "x-goog-" ? inGoogle(request) : answer(request));

/**
 * A fault: {kind, method?, query?, key?, times = 1, after = 0, status?, code?, retry_after?, ms?}. Kinds: "status";
 * "reset" (before anything is done); "lost" (done, but the answer gets lost); "slow" (answers after `ms`); "stall"
 * (headers and half a body, then nothing); "cut" (the connection ends within the body); "half" (half a body with a
 * length that says it is whole); "no_ranges" (the whole object to whoever asks for a part); "flip" (a byte is another).
 */
function faultFor(method, url) {
  for (const fault of faults) {
    if (fault.method !== undefined && fault.method !== method) continue;
    if (fault.query !== undefined && !url.includes(fault.query)) continue;
    if (fault.key !== undefined && !decodeURIComponent(url).includes(fault.key)) continue;
    if ((fault.after ?? 0) > 0) {
      fault.after -= 1;
      continue;
    }
    if ((fault.times ?? 1) <= 0) continue;
    fault.times = (fault.times ?? 1) - 1;
    return fault;
  }
  return undefined;
}

const control = (request, body, response) => {
  if (request.method === "POST") {
    const order = JSON.parse(body.toString());
    if (order.fault) faults.push(order.fault);
    if (order.token !== undefined) token = order.token || undefined;
    if (order.reset) {
      faults = [];
      log = [];
      token = undefined;
    }
  }
  response.writeHead(200, { "content-type": "application/json", connection: "close" });
  response.end(request.method === "GET" ? JSON.stringify(log.splice(0)) : "{}");
};

const server = createServer(async (request, response) => {
  try {
    const body = await read(request);
    if (request.url === "/_control") return control(request, body, response);
    const { method, url, headers } = request;
    log.push(`${method} ${url}${headers.range ? ` ${headers.range}` : ""}`);
    // A bucket in the host's name, as Amazon has it.
    const inHost = /^([a-z0-9-]+)\.localhost(:\d+)?$/.exec(headers.host ?? "");
    const path = inHost ? `/${inHost[1]}${url}` : url;

    const fault = faultFor(method, url);
    if (fault?.kind === "reset") return request.socket.resetAndDestroy();
    const wrong = checkSignature({ method, url, headers, body }, { keys, region, token });
    let reply;
    if (wrong) {
      reply = error(wrong.status, wrong.code, wrong.message);
    } else if (fault?.kind === "status") {
      const more = fault.retry_after === undefined ? {} : { "retry-after": String(fault.retry_after) };
      reply = error(fault.status, fault.code ?? "InternalError", "on purpose", more);
    } else if (fault?.kind === "no_ranges") {
      const { range, ...rest } = headers;
      reply = await served({ method, path, headers: rest, body });
    } else {
      reply = await served({ method, path, headers, body });
    }
    const head = { ...reply.headers };
    delete head["transfer-encoding"];
    delete head.connection;
    let bytes = reply.body;
    const half = bytes.subarray(0, Math.floor(bytes.length / 2));
    if (method !== "HEAD" && reply.status !== 204) head["content-length"] = bytes.length;
    switch (fault?.kind) {
      case "lost":
        return request.socket.resetAndDestroy();
      case "slow":
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        break;
      case "cut":
        response.writeHead(reply.status, head);
        response.write(half, () => request.socket.destroy());
        return undefined;
      case "stall":
        response.writeHead(reply.status, head);
        response.write(half);
        return undefined;
      case "half":
        head["content-length"] = half.length;
        bytes = half;
        break;
      case "flip":
        bytes = Buffer.from(bytes);
        if (bytes.length > 0) bytes[bytes.length >> 1] ^= 1;
        break;
      default:
    }
    response.writeHead(reply.status, head);
    response.end(method === "HEAD" ? undefined : bytes);
  } catch (problem) {
    if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
    response.end(String(problem?.stack ?? problem));
  }
  return undefined;
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.stdout.write(`ready ${server.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
