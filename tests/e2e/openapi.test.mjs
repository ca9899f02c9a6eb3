/** The OpenAPI document: valid, complete, and true to what the server does. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Validator } from "@seriousme/openapi-schema-validator";

import { start_fakes } from "./support/fakes.mjs";
import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);

const kMethods = ["get", "post", "put", "patch", "delete"];
const load = async () => (await gateway.get("/openapi.json")).body;
const operations = (document) =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    kMethods.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })),
  );

/** Routes that the first release commits to. */
const kPromised = [
  "POST /infer",
  "POST /v1/chat/completions",
  "POST /v1/completions",
  "POST /v1/embeddings",
  "POST /v1/responses",
  "GET /v1/models",
  "POST /v1/messages",
  "POST /v1/messages/count_tokens",
  "GET /metrics",
  "GET /models",
  "GET /health",
  "GET /health/live",
  "GET /health/ready",
  "GET /health/providers",
  "DELETE /cache/clear",
  "DELETE /cache/expired",
  "DELETE /cache/steps",
  "GET /cache/export",
  "GET /cache/entries",
];

test("the document is valid OpenAPI 3", async () => {
  const document = await load();
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 2)?.slice(0, 2000));
  assert.match(document.openapi, /^3\./);
  assert.match(document.info.version, /^\d+\.\d+\.\d+$/);
});

test("every promised route is described", async () => {
  const described = new Set(operations(await load()).map(({ path, method }) => `${method.toUpperCase()} ${path}`));
  assert.deepEqual(
    kPromised.filter((route) => !described.has(route)),
    [],
  );
});

test("every route of the program is described, but for aliases and pages", async () => {
  const { code, stdout } = await run_asahi(["routes"]);
  assert.equal(code, 0);
  const shape = (path) => path.replace(/\{[^}]+\}/g, "{}");
  const described = new Set(
    operations(await load()).map(({ path, method }) => `${method.toUpperCase()} ${shape(path)}`),
  );
  const unlisted = /^\S+ \/(api\/v[12]\/|docs|redoc|openapi\.json|assets\/|favicon|\s|$)/;
  const lines = stdout.split("\n").filter((line) => /^[A-Z]+ \//.test(line) && !unlisted.test(line));
  const routes = lines.map((line) => line.split(" ").slice(0, 2).join(" "));
  assert.ok(routes.length >= kPromised.length);
  assert.deepEqual(
    routes.filter((route) => !described.has(shape(route))),
    [],
  );
  // Who may call a route is part of its description, and the program goes by the same word.
  const rules = new Map(
    operations(await load()).map(({ path, method, operation }) => [
      `${method.toUpperCase()} ${shape(path)}`,
      operation["x-permission"],
    ]),
  );
  for (const line of lines) {
    const [method, path, access] = line.split(" ");
    assert.ok(access, `${method} ${path} does not say who may call it`);
    assert.equal(rules.get(shape(`${method} ${path}`)), access, `${method} ${path}`);
  }
});

test("every described route is served", async () => {
  for (const { path, method } of operations(await load())) {
    const concrete = path.replace(/\{[^}]+\}/g, "example");
    const body = ["post", "put", "patch"].includes(method) ? {} : undefined;
    const response = await fetch(gateway.url + concrete, {
      method: method.toUpperCase(),
      signal: AbortSignal.timeout(10_000),
      // Somebody else's request: the one route that ends the server refuses it.
      headers: { via: "1.1 walk", ...(body ? { "content-type": "application/json" } : {}) },
      ...(body ? { body: "{}" } : {}),
    });
    assert.notEqual(response.status, 405, `${method} ${path}`);
    // A live stream is served, and goes on.
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      await response.body.cancel();
      continue;
    }
    const text = await response.text();
    // A thing that was never made is a 404 too; a route that does not exist says so.
    assert.doesNotMatch(text, /there is nothing at this path/, `${method} ${path}`);
  }
});

test("operations have ids, summaries, answers and no broken references", async () => {
  const document = await load();
  const ids = operations(document).map(({ operation }) => operation.operationId);
  assert.ok(ids.every(Boolean), "an operation without operationId");
  assert.equal(new Set(ids).size, ids.length, "an operationId twice");
  for (const { path, method, operation } of operations(document)) {
    assert.ok(operation.summary, `${method} ${path} has no summary`);
    assert.ok(
      Object.keys(operation.responses).some((status) => /^(2|101)/.test(status)),
      `${method} ${path} has no success`,
    );
  }
  const text = JSON.stringify(document);
  for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const target = decodeURIComponent(reference)
      .split("/")
      .reduce((node, step) => node?.[step.replace(/~1/g, "/").replace(/~0/g, "~")], document);
    assert.ok(target, `#/${reference} leads nowhere`);
  }
});

test("the schema of /infer names exactly the fields that the server takes and gives", async () => {
  const document = await load();
  const resolve = (schema) =>
    schema.$ref
      ? schema.$ref
          .slice(2)
          .split("/")
          .reduce((node, step) => node[step], document)
      : schema;
  const operation = document.paths["/infer"].post;
  const fields = (schema) => {
    const whole = resolve(schema);
    return [...Object.keys(whole.properties ?? {}), ...(whole.allOf ?? []).flatMap(fields)];
  };
  const names = fields(operation.requestBody.content["application/json"].schema);
  assert.ok(names.includes("prompt") && names.includes("routing_mode"));
  for (const name of names) {
    const reply = await gateway.post("/infer", { prompt: "x", [name]: { no: "such value" } });
    assert.equal(reply.status, 400, name);
    assert.doesNotMatch(reply.body.message, /is not a field/, `${name} is described and not known to the server`);
  }
  const response = resolve(operation.responses["200"].content["application/json"].schema);
  const reply = await gateway.infer("what the schema says");
  assert.deepEqual(
    Object.keys(reply).filter((name) => !(name in response.properties)),
    [],
    "given and not described",
  );
  assert.deepEqual(
    (response.required ?? []).filter((name) => !(name in reply)),
    [],
    "described and not given",
  );
});

test("the explorers are served and can be switched off", async (t) => {
  for (const path of ["/docs", "/redoc"]) {
    const page = await gateway.get(path);
    assert.equal(page.status, 200, path);
    assert.match(page.headers.get("content-type"), /^text\/html/);
    assert.doesNotMatch(page.text, /(src|href)="https?:\/\//, "the explorer loads from elsewhere");
  }
  const closed = await start_gateway({ fakes, env: { ASAHI_API_DOCS_ENABLED: "false" } });
  t.after(() => closed.stop());
  for (const path of ["/docs", "/redoc", "/openapi.json"]) assert.equal((await closed.get(path)).status, 404, path);
});
