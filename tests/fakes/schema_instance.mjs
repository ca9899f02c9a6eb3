/**
 * The smallest JSON value that satisfies a JSON Schema of the kind structured output uses: objects, arrays, enums,
 * const, anyOf/oneOf/allOf, $ref into $defs, numeric and length limits. Deterministic.
 */

const kMaxDepth = 16;

/** `root` resolves `$ref: "#/..."`. Recursive schemas end at `kMaxDepth` with null. */
export function minimal_instance(schema, root = schema, depth = 0) {
  if (depth > kMaxDepth || schema === true || schema === undefined || schema === null) return null;
  if (schema.$ref) return minimal_instance(resolve_reference(schema.$ref, root), root, depth + 1);
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if ("default" in schema) return schema.default;
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return minimal_instance(options[0], root, depth + 1);
  if (schema.allOf) return minimal_instance(Object.assign({}, ...schema.allOf), root, depth + 1);

  const type = first_type(schema);
  switch (type) {
    case "object":
      return object_instance(schema, root, depth);
    case "array":
      return Array.from({ length: schema.minItems ?? 1 }, () => minimal_instance(schema.items ?? {}, root, depth + 1));
    case "string":
      return string_instance(schema);
    case "integer":
    case "number":
      return number_instance(schema);
    case "boolean":
      return true;
    default:
      return null;
  }
}

function first_type(schema) {
  const declared = Array.isArray(schema.type) ? schema.type.find((t) => t !== "null") : schema.type;
  if (declared) return declared.toLowerCase(); // Google writes STRING, OBJECT …
  if (schema.properties) return "object";
  return schema.items ? "array" : undefined;
}

function object_instance(schema, root, depth) {
  const wanted = schema.required ?? [];
  const value = {};
  for (const name of wanted) value[name] = minimal_instance(schema.properties?.[name] ?? {}, root, depth + 1);
  return value;
}

const kFormats = {
  "date-time": "2026-01-02T03:04:05Z",
  date: "2026-01-02",
  time: "03:04:05Z",
  email: "someone@example.com",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
};

function string_instance(schema) {
  const text = kFormats[schema.format] ?? "sample";
  const padded = schema.minLength > text.length ? text.padEnd(schema.minLength, "x") : text;
  return schema.maxLength < padded.length ? padded.slice(0, schema.maxLength) : padded;
}

function number_instance(schema) {
  const step = schema.multipleOf ?? 1;
  if (schema.exclusiveMinimum !== undefined) return schema.exclusiveMinimum + step;
  if (schema.minimum !== undefined) return schema.minimum;
  if (schema.exclusiveMaximum !== undefined) return Math.min(step, schema.exclusiveMaximum - step);
  return schema.maximum !== undefined ? Math.min(step, schema.maximum) : step;
}

function resolve_reference(reference, root) {
  let node = root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    node = node?.[step.replace(/~1/g, "/").replace(/~0/g, "~")];
  }
  return node ?? {};
}
