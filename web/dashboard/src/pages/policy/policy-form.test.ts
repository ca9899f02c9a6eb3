import { expect, test } from 'vitest';

import { formOf, policyOf } from './policy-form';

const read = {
  updated_at: '2026-11-21T10:00:00Z',
  updated_by: 'usr_1',
  org_id: 'acme',
  warnings: [],
};

test('a policy survives the form unchanged, with what the form does not show', () => {
  const policy = {
    allowed_models: ['gpt-4o', 'claude-*'],
    blocked_models: ['gpt-4o'],
    max_cost_per_day: 2.5,
    max_cost_per_month: null,
    max_cost_per_request: 0,
    max_requests_per_day: 100,
    max_requests_per_month: null,
    rate_limit_per_minute: 60,
    tokens_per_minute: null,
    data_residency: 'eu' as const,
    require_audit_log: true,
    per_model: { 'gpt-4o': { requests_per_minute: 5 } },
    default_latency_budget_ms: 300,
  };
  const stored = { ...policy, ...read };
  expect(policyOf(formOf(stored), stored)).toEqual({ policy });
});

test('an organisation without a policy starts with no limits', () => {
  const form = formOf(null);
  expect(form).toMatchObject({ allowed: '', max_cost_per_day: '', residency: '', audit: false });
  expect(policyOf({ ...form, blocked: 'gpt-4o' }, null)).toMatchObject({
    policy: { blocked_models: ['gpt-4o'], allowed_models: [], max_cost_per_day: null, data_residency: null },
  });
});

test('bad numbers are said at their fields', () => {
  const form = { ...formOf(null), max_cost_per_day: '-1', max_requests_per_day: '1.5' };
  expect(policyOf(form, null)).toEqual({ faults: { max_cost_per_day: expect.any(String), max_requests_per_day: expect.any(String) } });
});
