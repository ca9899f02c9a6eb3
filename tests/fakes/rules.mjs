/**
 * A small strict validator: rules are values, `first_issue` names the first thing that breaks one. Vendors phrase
 * the issue in their own words, so the same rules serve error bodies of every shape.
 *
 * An issue is `{kind, path, ...}` with kind unknown | missing | type | below | above | enum | length.
 */

export const any = () => ({ rule: "any" });
export const bool = () => ({ rule: "bool" });
export const text = (limits = {}) => ({ rule: "text", ...limits });
export const number = (limits = {}) => ({ rule: "number", ...limits });
export const integer = (limits = {}) => ({ rule: "number", integer: true, ...limits });
export const one_of = (...values) => ({ rule: "enum", values });
export const list = (item, limits = {}) => ({ rule: "list", item, ...limits });
/** An object with exactly these fields; `required` names the ones that must be there. */
export const record = (fields, required = []) => ({ rule: "record", fields, required });
/** An object of any fields. */
export const open_record = () => ({ rule: "open_record" });
export const nullable = (inner) => ({ rule: "nullable", inner });
/** The first alternative of the value's own JSON type decides. */
export const either = (...alternatives) => ({ rule: "either", alternatives });
/** A record whose field `tag` selects its rule; `fallback` is the tag when the field is absent. */
export const tagged = (tag, cases, fallback) => ({ rule: "tagged", tag, cases, fallback });

const json_type = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

const kExpected = {
  bool: "boolean",
  text: "string",
  number: "number",
  list: "array",
  record: "object",
  open_record: "object",
  tagged: "object",
};

/** The JSON type a rule accepts, or undefined when it depends on the value. */
function expected_type(rule) {
  if (rule.rule === "enum") return json_type(rule.values[0]);
  return kExpected[rule.rule];
}

/** First broken rule of `value`, or null. `path` collects keys and indexes from the root. */
export function first_issue(value, rule, path = []) {
  switch (rule.rule) {
    case "any":
      return null;
    case "nullable":
      return value === null ? null : first_issue(value, rule.inner, path);
    case "either": {
      const fitting = rule.alternatives.find((a) => expected_type(a) === json_type(value));
      if (fitting) return first_issue(value, fitting, path);
      const expected = rule.alternatives.map(expected_type).join(" or ");
      return { kind: "type", path, expected, got: json_type(value), value };
    }
    case "enum":
      return rule.values.includes(value)
        ? null
        : { kind: "enum", path, values: rule.values, value, got: json_type(value) };
    default:
      break;
  }
  const expected = expected_type(rule);
  if (json_type(value) !== expected) {
    return { kind: "type", path, expected: rule.integer ? "integer" : expected, got: json_type(value), value };
  }
  if (rule.rule === "number") return number_issue(value, rule, path);
  if (rule.rule === "text") {
    if (rule.min_length && value.length < rule.min_length) return { kind: "length", path, value };
    return null;
  }
  if (rule.rule === "list") return list_issue(value, rule, path);
  if (rule.rule === "record") return record_issue(value, rule, path);
  if (rule.rule === "tagged") return tagged_issue(value, rule, path);
  return null;
}

function number_issue(value, rule, path) {
  if (!Number.isFinite(value) || (rule.integer && !Number.isInteger(value))) {
    return { kind: "type", path, expected: rule.integer ? "integer" : "number", got: "number", value };
  }
  if (rule.min !== undefined && value < rule.min) return { kind: "below", path, limit: rule.min, value, rule };
  if (rule.max !== undefined && value > rule.max) return { kind: "above", path, limit: rule.max, value, rule };
  return null;
}

function list_issue(value, rule, path) {
  if (rule.min_items && value.length < rule.min_items) return { kind: "length", path, value, min: rule.min_items };
  if (rule.max_items && value.length > rule.max_items) return { kind: "length", path, value, max: rule.max_items };
  for (const [index, item] of value.entries()) {
    const issue = first_issue(item, rule.item, [...path, index]);
    if (issue) return issue;
  }
  return null;
}

function record_issue(value, rule, path) {
  for (const name of rule.required) {
    if (value[name] === undefined) return { kind: "missing", path: [...path, name] };
  }
  for (const [name, field] of Object.entries(value)) {
    const field_rule = rule.fields[name];
    if (!field_rule) return { kind: "unknown", path: [...path, name], value: field };
    const issue = first_issue(field, field_rule, [...path, name]);
    if (issue) return issue;
  }
  return null;
}

function tagged_issue(value, rule, path) {
  const tag = value[rule.tag] ?? rule.fallback;
  if (tag === undefined) return { kind: "missing", path: [...path, rule.tag] };
  const chosen = rule.cases[tag];
  if (!chosen) {
    return {
      kind: "enum",
      path: [...path, rule.tag],
      values: Object.keys(rule.cases),
      value: tag,
      got: json_type(tag),
    };
  }
  return first_issue(value, chosen, path);
}

/** "messages[0].content" from ["messages", 0, "content"]. */
export const dotted = (path) =>
  path.map((step, i) => (typeof step === "number" ? `[${step}]` : i ? `.${step}` : step)).join("");
