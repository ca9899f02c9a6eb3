import { expect, test } from 'vitest';

import { changesOf, formOf, policyOf } from './policy-form';

const read = {
  updated_at: '2026-11-21T10:00:00Z',
  updated_by: 'usr_1',
  org_id: 'acme',
  warnings: [],
};

test('a policy survives the form unchanged', () => {
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
    cost_sensitivity: 'low' as const,
    data_residency: 'eu' as const,
    require_audit_log: true,
    default_quality_threshold: 4,
    default_latency_budget_ms: 300,
    per_user: { requests_per_minute: 10, tokens_per_minute: null },
    per_model: { 'gpt-4o': { requests_per_minute: 5, tokens_per_minute: null } },
  };
  const stored = { ...policy, ...read };
  expect(policyOf(formOf(stored), stored)).toEqual({ policy });
  expect(changesOf(formOf(stored), formOf(stored))).toEqual([]);
});

test('an organisation without a policy starts with no limits', () => {
  const form = formOf(null);
  expect(form).toMatchObject({ allowed: [], max_cost_per_day: '', residency: '', audit: false, perModel: [] });
  expect(policyOf({ ...form, blocked: ['gpt-4o'] }, null)).toMatchObject({
    policy: { blocked_models: ['gpt-4o'], allowed_models: [], max_cost_per_day: null, data_residency: null },
  });
});

test('bad values are said at their fields', () => {
  const form = { ...formOf(null), max_cost_per_day: '-1', max_requests_per_day: '1.5', quality: '6', latency: '20', userTokens: 'x' };
  const faults = Object.fromEntries(['max_cost_per_day', 'max_requests_per_day', 'quality', 'latency', 'userTokens'].map((name) => [name, expect.any(String)]));
  expect(policyOf(form, null)).toEqual({ faults });
  const limit = { model: 'gpt-4o', requests: '5', tokens: '' };
  expect(policyOf({ ...formOf(null), perModel: [limit, limit] }, null)).toEqual({ faults: { perModel: 'gpt-4o stands twice.' } });
  expect(policyOf({ ...formOf(null), perModel: [{ ...limit, model: ' ' }] }, null)).toEqual({ faults: { perModel: 'Each row names a model.' } });
});

test('what a save would change is said in words', () => {
  const before = formOf(null);
  const after = { ...before, max_cost_per_day: '40', blocked: ['gpt-4-turbo'], audit: true, perModel: [{ model: 'o3', requests: '5', tokens: '' }] };
  expect(changesOf(before, after)).toEqual([
    { rule: 'Blocked models', before: 'none', after: 'gpt-4-turbo' },
    { rule: 'Dollars per day', before: 'no limit', after: '$40.00' },
    { rule: 'Audit log required', before: 'no', after: 'yes' },
    { rule: 'o3, per minute', before: 'no limit', after: '5 requests' },
  ]);
  expect(changesOf(after, before)).toHaveLength(4);
});
