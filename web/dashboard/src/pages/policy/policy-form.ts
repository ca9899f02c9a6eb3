/** The policy as fields of a form. What the form does not show stays as it is. */
import type { Schemas } from '../../api/client';
import { listOf, numberOf, textOf } from '../../lib/forms';

type Policy = Schemas['Policy'];

/** Number fields; `whole`: no fractions. Empty means no limit. */
export const kCaps = [
  { name: 'max_cost_per_day', label: 'Dollars per day', hint: 'Rolling 24 hours.', whole: false },
  { name: 'max_cost_per_month', label: 'Dollars per month', hint: 'Calendar month, UTC.', whole: false },
  { name: 'max_cost_per_request', label: 'Dollars per request', hint: 'Refused when it may cost more.', whole: false },
  { name: 'max_requests_per_day', label: 'Requests per day', hint: 'Cache hits count.', whole: true },
  { name: 'max_requests_per_month', label: 'Requests per month', hint: 'Cache hits count.', whole: true },
  { name: 'rate_limit_per_minute', label: 'Requests per minute', hint: "Empty: the gateway's default.", whole: true },
  { name: 'tokens_per_minute', label: 'Tokens per minute', hint: "Empty: the gateway's default.", whole: true },
] as const;

export type Cap = (typeof kCaps)[number]['name'];

export interface PolicyForm extends Record<Cap, string> {
  allowed: string;
  blocked: string;
  residency: '' | 'us' | 'eu' | 'ap';
  audit: boolean;
}

export function formOf(policy: Policy | null): PolicyForm {
  const caps = Object.fromEntries(kCaps.map(({ name }) => [name, textOf(policy?.[name])])) as Record<Cap, string>;
  return {
    ...caps,
    allowed: (policy?.allowed_models ?? []).join(', '),
    blocked: (policy?.blocked_models ?? []).join(', '),
    residency: policy?.data_residency ?? '',
    audit: policy?.require_audit_log ?? false,
  };
}

export type PolicyFaults = Partial<Record<Cap, string>>;

/** The policy to store, on the ground of the one loaded, or what is wrong with the form. */
export function policyOf(form: PolicyForm, loaded: Policy | null): { policy: Policy } | { faults: PolicyFaults } {
  // These the gateway adds; it does not take them back.
  const { org_id: _, updated_at: __, updated_by: ___, warnings: ____, ...kept } = loaded ?? {};
  const faults: PolicyFaults = {};
  const caps: Partial<Record<Cap, number | null>> = {};
  for (const { name, whole } of kCaps) {
    const value = numberOf(form[name], { whole });
    if (value === undefined) faults[name] = whole ? 'A whole number, or empty.' : 'A number, or empty.';
    else caps[name] = value;
  }
  if (Object.keys(faults).length > 0) return { faults };
  return {
    policy: {
      ...(kept as Policy),
      ...caps,
      allowed_models: listOf(form.allowed),
      blocked_models: listOf(form.blocked),
      data_residency: form.residency || null,
      require_audit_log: form.audit,
    },
  };
}
