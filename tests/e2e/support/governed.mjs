/** A gateway that asks for credentials, and the organisations, keys and policies that tests need there. */
import assert from "node:assert/strict";

import { start_gateway } from "./gateway.mjs";

export const kAdminSecret = "operator-secret-for-tests";
export const operator = { "x-admin-secret": kAdminSecret };
export const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** Settings of a gateway where everybody needs a credential; replicas share pepper and token secret. */
export const kGoverned = {
  ASAHI_AUTH_API_KEY_REQUIRED: "true",
  ASAHI_ADMIN_SECRET: kAdminSecret,
  ASAHI_KEY_PEPPER: "pepper-of-the-tests-0123456789abcdef",
  ASAHI_JWT_SECRET: "a-secret-of-at-least-thirty-two-bytes!",
  ASAHI_API_TRUSTED_PROXIES: "127.0.0.1",
};

export const start_governed = ({ env = {}, ...rest } = {}) => start_gateway({ ...rest, env: { ...kGoverned, ...env } });

/** A new API key, whole. `more`: further members of the request. */
export async function make_key(gateway, org, more = {}) {
  const body = { org_id: org, user_id: "u", scopes: ["admin"], rate_limit_per_minute: 1000000, ...more };
  const reply = await gateway.post("/governance/api-keys", body, operator);
  assert.equal(reply.status, 201, reply.text);
  return reply.body.api_key;
}

/** Puts an organisation's policy in place of what was there. */
export async function set_policy(gateway, org, policy) {
  const body = { rate_limit_per_minute: 1000000, max_requests_per_day: 1000000, ...policy };
  const reply = await gateway.call("PUT", `/governance/policies/${org}`, body, operator);
  assert.ok([200, 201].includes(reply.status), reply.text);
}

/** An organisation with a policy and a key; the key's header. */
export async function make_org(gateway, org, policy = {}, key = {}) {
  await set_policy(gateway, org, policy);
  return bearer(await make_key(gateway, org, key));
}

/** What budgets say an organisation used today: {requests, spent_usd, reserved_usd}. */
export async function budget_use(gateway, org) {
  const reply = await gateway.get(`/governance/usage?org_id=${org}`, operator);
  assert.equal(reply.status, 200, reply.text);
  return reply.body.budget;
}
