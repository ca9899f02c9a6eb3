/** A fake OTLP collector and a fake error tracker, over HTTP, with faults on command. */
import assert from "node:assert/strict";
import { createServer } from "node:http";

/** Takes POSTs on any path and remembers them; answers 200 unless it is told otherwise. */
export class Sink {
  requests = [];
  /** Statuses of the next answers, or {status, headers}; when they are used up: 200. */
  script = [];
  /** Milliseconds before each answer. */
  delay_ms = 0;

  async listen(port = 0) {
    this.server = createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", async () => {
        this.requests.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
        if (this.delay_ms) await new Promise((resolve) => setTimeout(resolve, this.delay_ms).unref());
        const answer = this.script.shift() ?? 200;
        const { status, headers = {} } = typeof answer === "number" ? { status: answer } : answer;
        response.writeHead(status, { "content-type": "application/json", ...headers }).end("{}");
      });
    });
    await new Promise((resolve, reject) => this.server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** Every span that was sent, flat. */
  spans() {
    return this.requests.flatMap(({ body }) => JSON.parse(body).resourceSpans.flatMap((group) => group.scopeSpans.flatMap((scope) => scope.spans)));
  }

  /** The spans of one call, by its request id; empty until they are all there. */
  spans_of(request_id) {
    const spans = this.spans();
    const root = spans.find((span) => attributes(span)["asahi.request_id"] === request_id);
    return root ? spans.filter((span) => span.traceId === root.traceId) : [];
  }

  /** The events of envelopes that were sent. */
  events() {
    return this.requests.map(({ body }) => parse_envelope(body).event);
  }
}

export const start_sink = () => new Sink().listen();

const kValueTypes = { stringValue: "string", boolValue: "boolean", intValue: "string", doubleValue: "number" };

/** Attributes of a span or resource as an object. */
export const attributes = ({ attributes: list }) =>
  Object.fromEntries(list.map(({ key, value }) => [key, value.intValue !== undefined ? Number(value.intValue) : Object.values(value)[0]]));

function only(object, allowed, what) {
  for (const key of Object.keys(object)) assert.ok(allowed.includes(key), `${what} has the unknown member ${key}`);
}

function check_attributes(list, what) {
  assert.ok(Array.isArray(list), what);
  const names = list.map(({ key }) => key);
  assert.equal(new Set(names).size, names.length, `${what}: a key stands twice`);
  for (const attribute of list) {
    only(attribute, ["key", "value"], what);
    assert.match(attribute.key, /^[a-z][a-z0-9_.]*$/);
    const [[type, value], ...more] = Object.entries(attribute.value);
    assert.equal(more.length, 0, `${what}: ${attribute.key} has two values`);
    assert.equal(typeof value, kValueTypes[type], `${what}: ${attribute.key} is ${type}`);
    if (type === "intValue") assert.match(value, /^-?\d+$/);
  }
}

/** Holds a request to opentelemetry-proto's ExportTraceServiceRequest in JSON, member by member. */
export function check_otlp({ method, path, headers, body }) {
  assert.equal(method, "POST");
  assert.equal(path, "/v1/traces");
  assert.equal(headers["content-type"], "application/json");
  const request = JSON.parse(body);
  only(request, ["resourceSpans"], "the request");
  for (const group of request.resourceSpans) {
    only(group, ["resource", "scopeSpans", "schemaUrl"], "resourceSpans");
    only(group.resource, ["attributes"], "resource");
    check_attributes(group.resource.attributes, "resource");
    for (const scope of group.scopeSpans) {
      only(scope, ["scope", "spans", "schemaUrl"], "scopeSpans");
      only(scope.scope, ["name", "version"], "scope");
      const ids = new Set(scope.spans.map(({ spanId }) => spanId));
      assert.equal(ids.size, scope.spans.length, "span ids repeat");
      for (const span of scope.spans) {
        only(span, ["traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"], "span");
        assert.match(span.traceId, /^[0-9a-f]{32}$/);
        assert.match(span.spanId, /^[0-9a-f]{16}$/);
        assert.ok(span.name.length > 0);
        assert.ok([1, 2, 3].includes(span.kind), `kind ${span.kind}`);
        assert.equal(span.flags & 1, 1, "exported, so sampled");
        assert.match(span.startTimeUnixNano, /^\d{19}$/);
        assert.match(span.endTimeUnixNano, /^\d{19}$/);
        assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano), span.name);
        if (span.kind !== 2) assert.ok(ids.has(span.parentSpanId), `${span.name} has no parent here`);
        only(span.status, ["code", "message"], "status");
        check_attributes(span.attributes, span.name);
      }
    }
  }
}

/** Takes an envelope with one event apart. */
export function parse_envelope(body) {
  const [header, item, ...rest] = body.split("\n");
  const { type, length } = JSON.parse(item);
  assert.equal(type, "event");
  const payload = rest.join("\n");
  assert.equal(Buffer.byteLength(payload) - 1, length, "the item's length");
  return { header: JSON.parse(header), event: JSON.parse(payload) };
}
