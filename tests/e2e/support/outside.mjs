/** Services outside that a memory asks: an orchestrator (MCP), a queue (SQS's JSON protocol), one that verifies tokens. */
import { createHash, createHmac } from "node:crypto";
import { createServer } from "node:http";

const open = [];
export const close_outside = () => open.splice(0).forEach((server) => server.closeAllConnections() ?? server.close());

/** A server on a free port; `answer` gets the request and its body as JSON, and returns [status, body]. */
async function serve(answer) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const [status, body] = await answer(request, text ? JSON.parse(text) : {}, text);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(body === undefined ? "" : JSON.stringify(body));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  open.push(server);
  return `http://127.0.0.1:${server.address().port}`;
}

/** An orchestrator that knows the tool workflow-trigger; `started` lists what it was asked for. */
export async function start_orchestrator(key) {
  const started = [];
  let greeted = 0;
  const url = await serve(({ url: path, headers }, message) => {
    if (path === "/health") return [200, { status: "ok" }];
    if (headers.authorization !== `Bearer ${key}`) return [401, {}];
    if (message.id === undefined) return [202, undefined];
    const reply = (result) => [200, { jsonrpc: "2.0", id: message.id, result }];
    if (message.method === "initialize") {
      greeted += 1;
      return reply({ protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "mahavishnu", version: "1" } });
    }
    started.push(message.params.arguments.workflow);
    return reply({ content: [{ type: "text", text: "started" }] });
  });
  return { url: `${url}/mcp`, port: Number(new URL(url).port), started, greeted: () => greeted };
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** Whether a request is signed with version 4, worked out from the request alone. */
function is_signed({ method, url, headers }, text, secret) {
  const found = /Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? "");
  if (!found) return false;
  const [, credential, names, signature] = found;
  const scope = credential.split("/").slice(1);
  const lines = names.split(";").map((name) => `${name}:${headers[name]}\n`);
  const request = [method, url, "", lines.join(""), names, sha256(text)].join("\n");
  const signed = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope.join("/"), sha256(request)].join("\n");
  return createHmac("sha256", scope.reduce(hmac, `AWS4${secret}`)).update(signed).digest("hex") === signature;
}

/** A queue as Amazon's; what is taken and not deleted stays hidden. */
export async function start_queue(secret) {
  const waiting = [];
  const dead = [];
  let deleted = 0;
  const base = await serve(async (request, body, text) => {
    if (!is_signed(request, text, secret)) return [403, { __type: "InvalidSignatureException" }];
    const action = request.headers["x-amz-target"].replace("AmazonSQS.", "");
    if (action === "SendMessage") {
      dead.push(body.MessageBody);
      return [200, { MessageId: "d" }];
    }
    if (action === "DeleteMessageBatch") {
      deleted += body.Entries.length;
      return [200, { Successful: body.Entries.map(({ Id }) => ({ Id })), Failed: [] }];
    }
    // A long poll: here a short one.
    for (let i = 0; i < 40 && waiting.length === 0; ++i) await new Promise((done) => setTimeout(done, 50));
    const Messages = waiting
      .splice(0, body.MaxNumberOfMessages)
      .map((Body, i) => ({ MessageId: `m${i}`, ReceiptHandle: `r${i}`, Body, Attributes: { ApproximateReceiveCount: "1" } }));
    return [200, Messages.length > 0 ? { Messages } : {}];
  });
  return {
    url: `${base}/000000000000/uploads`,
    dead_letter_url: `${base}/000000000000/dead`,
    send: (message) => waiting.push(typeof message === "string" ? message : JSON.stringify(message)),
    dead,
    deleted: () => deleted,
  };
}

/** Verifies tokens by a table: token to claims. */
export async function start_verifier(tokens) {
  const url = await serve((_request, { token }) => (tokens[token] ? [200, tokens[token]] : [401, { error: "unknown" }]));
  return `${url}/verify`;
}
