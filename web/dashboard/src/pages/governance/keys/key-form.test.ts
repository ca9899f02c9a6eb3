import { expect, test } from 'vitest';

import type { Caller } from '../../../app/access';
import { grantable, kEmptyForm, kScopes, newKeyOf } from './key-form';

test('the empty form is a key that may ask any model for 90 days', () => {
  expect(newKeyOf(kEmptyForm)).toEqual({ body: { scopes: ['infer'], expires_in_days: 90, semantic_cache: true } });
});

test('what is filled in goes along', () => {
  const form = { ...kEmptyForm, name: ' CI ', user: 'ci', models: 'gpt-4o-mini, claude-*', days: '7', requests: '60', tokens: '1000', similar: false };
  expect(newKeyOf(form)).toEqual({
    body: {
      name: 'CI',
      user_id: 'ci',
      scopes: ['infer'],
      allowed_models: ['gpt-4o-mini', 'claude-*'],
      expires_in_days: 7,
      semantic_cache: false,
      rate_limit_per_minute: 60,
      tokens_per_minute: 1000,
    },
  });
});

test('no scopes would mean full access, so they are asked for', () => {
  expect(newKeyOf({ ...kEmptyForm, scopes: [] })).toEqual({ faults: { scopes: 'Tick at least one.' } });
});

test('numbers out of bounds are said at their fields', () => {
  const reply = newKeyOf({ ...kEmptyForm, days: '4000', requests: '0', tokens: '1.5' });
  expect(reply).toEqual({ faults: { days: expect.any(String), requests: expect.any(String), tokens: expect.any(String) } });
  expect(newKeyOf({ ...kEmptyForm, days: '' })).toHaveProperty('faults.days');
});

test('nobody is offered scopes beyond their own', () => {
  const caller: Caller = { kind: 'session', org_id: 'acme', permissions: ['infer', 'manage_policy'] };
  expect(kScopes.filter((scope) => grantable(caller, scope)).map(({ value }) => value)).toEqual(['infer', 'manage_policy']);
});
