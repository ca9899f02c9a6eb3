/** The policy as fields of a form, and what saving it would change. */
import type { Schemas } from '../../../api/client';
import { count, dollars } from '../../../lib/format';
import { numberOf, textOf } from '../../../lib/forms';

type Policy = Schemas['Policy'];

/** Number fields; `whole`: no fractions. Empty means no limit. */
export const kCaps = [
  { name: 'max_cost_per_day', label: 'Dollars per day', hint: 'Rolling 24 hours.', whole: false, show: dollars },
  { name: 'max_cost_per_month', label: 'Dollars per month', hint: 'Calendar month, UTC.', whole: false, show: dollars },
  { name: 'max_cost_per_request', label: 'Dollars per request', hint: 'Refused when it may cost more.', whole: false, show: dollars },
  { name: 'max_requests_per_day', label: 'Requests per day', hint: 'Cache hits count.', whole: true, show: count },
  { name: 'max_requests_per_month', label: 'Requests per month', hint: 'Cache hits count.', whole: true, show: count },
  { name: 'rate_limit_per_minute', label: 'Requests per minute', hint: "Empty: the gateway's default.", whole: true, show: count },
  { name: 'tokens_per_minute', label: 'Tokens per minute', hint: "Empty: the gateway's default.", whole: true, show: count },
] as const;

export type Cap = (typeof kCaps)[number]['name'];

/** One model's own limits per minute. */
export interface ModelLimit {
  model: string;
  requests: string;
  tokens: string;
}

export interface PolicyForm extends Record<Cap, string> {
  allowed: string[];
  blocked: string[];
  quality: string;
  latency: string;
  sensitivity: '' | 'low' | 'medium' | 'high';
  residency: '' | 'us' | 'eu' | 'ap';
  audit: boolean;
  userRequests: string;
  userTokens: string;
  perModel: ModelLimit[];
}

export const kResidencies = { us: 'United States', eu: 'European Union', ap: 'Asia-Pacific' } as const;

export function formOf(policy: Policy | null): PolicyForm {
  const caps = Object.fromEntries(kCaps.map(({ name }) => [name, textOf(policy?.[name])])) as Record<Cap, string>;
  return {
    ...caps,
    allowed: [...(policy?.allowed_models ?? [])],
    blocked: [...(policy?.blocked_models ?? [])],
    quality: textOf(policy?.default_quality_threshold),
    latency: textOf(policy?.default_latency_budget_ms),
    sensitivity: policy?.cost_sensitivity ?? '',
    residency: policy?.data_residency ?? '',
    audit: policy?.require_audit_log ?? false,
    userRequests: textOf(policy?.per_user?.requests_per_minute),
    userTokens: textOf(policy?.per_user?.tokens_per_minute),
    perModel: Object.entries(policy?.per_model ?? {}).map(([model, limits]) => ({
      model,
      requests: textOf(limits.requests_per_minute),
      tokens: textOf(limits.tokens_per_minute),
    })),
  };
}

export type PolicyFaults = Partial<Record<keyof PolicyForm, string>>;

/** The policy to store, on the ground of the one loaded, or what is wrong with the form. */
export function policyOf(form: PolicyForm, loaded: Policy | null): { policy: Policy } | { faults: PolicyFaults } {
  // These the gateway adds; it does not take them back.
  const { org_id: _, updated_at: __, updated_by: ___, warnings: ____, ...kept } = loaded ?? {};
  const faults: PolicyFaults = {};
  const read = (name: keyof PolicyForm, text: string, whole: boolean): number | null => {
    const value = numberOf(text, { whole });
    if (value === undefined) faults[name] = whole ? 'A whole number, or empty.' : 'A number, or empty.';
    return value ?? null;
  };
  const caps = Object.fromEntries(kCaps.map(({ name, whole }) => [name, read(name, form[name], whole)])) as Record<Cap, number | null>;
  const quality = read('quality', form.quality, false);
  const latency = read('latency', form.latency, true);
  if (quality !== null && quality > 5) faults.quality = 'From 0 to 5, or empty.';
  if (latency !== null && (latency < 50 || latency > 30_000)) faults.latency = 'From 50 to 30,000 ms, or empty.';
  const users = { requests_per_minute: read('userRequests', form.userRequests, true), tokens_per_minute: read('userTokens', form.userTokens, true) };
  const perModel: Record<string, Schemas['MinuteLimits']> = {};
  for (const { model, requests, tokens } of form.perModel) {
    if (!model.trim() && !requests.trim() && !tokens.trim()) continue;
    if (!model.trim()) faults.perModel = 'Each row names a model.';
    else if (model.trim() in perModel) faults.perModel = `${model.trim()} stands twice.`;
    perModel[model.trim()] = { requests_per_minute: read('perModel', requests, true), tokens_per_minute: read('perModel', tokens, true) };
  }
  if (Object.keys(faults).length > 0) return { faults };
  // Without these the gateway has defaults of its own; a form field that was cleared means those.
  const { default_quality_threshold: _q, default_latency_budget_ms: _l, per_user: _u, per_model: _m, ...rest } = kept as Policy;
  return {
    policy: {
      ...rest,
      ...caps,
      allowed_models: form.allowed,
      blocked_models: form.blocked,
      ...(quality === null ? {} : { default_quality_threshold: quality }),
      ...(latency === null ? {} : { default_latency_budget_ms: latency }),
      cost_sensitivity: form.sensitivity || null,
      data_residency: form.residency || null,
      require_audit_log: form.audit,
      per_user: users,
      per_model: perModel,
    },
  };
}

export interface Change {
  rule: string;
  before: string;
  after: string;
}

const limit = (text: string, show: (value: number) => string, none: string): string => (text.trim() ? show(Number(text)) : none);
const list = (values: readonly string[], none: string): string => values.join(', ') || none;
const minute = (requests: string, tokens: string): string =>
  [...(requests.trim() ? [`${count(Number(requests))} requests`] : []), ...(tokens.trim() ? [`${count(Number(tokens))} tokens`] : [])].join(', ') || 'no limit';

/** What differs, as words; forms whose numbers are not numbers do not get here. */
export function changesOf(before: PolicyForm, after: PolicyForm): Change[] {
  const words = (form: PolicyForm): Map<string, string> =>
    new Map([
      ['Allowed models', list(form.allowed, 'all')],
      ['Blocked models', list(form.blocked, 'none')],
      ...kCaps.map(({ name, label, show }): [string, string] => [label, limit(form[name], show, 'no limit')]),
      ['Quality', limit(form.quality, String, "the gateway's default")],
      ['Latency budget', limit(form.latency, (ms) => `${count(ms)} ms`, "the gateway's default")],
      ['Cost sensitivity', form.sensitivity || "the gateway's default"],
      ['Data residency', form.residency ? kResidencies[form.residency] : 'anywhere'],
      ['Audit log required', form.audit ? 'yes' : 'no'],
      ['Each user, per minute', minute(form.userRequests, form.userTokens)],
      ...form.perModel.filter(({ model }) => model.trim()).map(({ model, requests, tokens }): [string, string] => [`${model.trim()}, per minute`, minute(requests, tokens)]),
    ]);
  const [old, next] = [words(before), words(after)];
  return [...new Set([...old.keys(), ...next.keys()])]
    .map((rule) => ({ rule, before: old.get(rule) ?? 'no limit', after: next.get(rule) ?? 'no limit' }))
    .filter((change) => change.before !== change.after);
}
