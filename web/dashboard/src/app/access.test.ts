import { expect, test } from 'vitest';

import { isOpen, may, nameOf, roleOf, safeReturn, type Caller } from './access';

const caller = (more: Partial<Caller>): Caller => ({ kind: 'session', org_id: 'acme', permissions: ['infer'], ...more });

test('only what is known to be forbidden is hidden', () => {
  expect(may(caller({}), 'manage_policy')).toBe(false);
  expect(may(caller({ permissions: ['manage_policy'] }), 'manage_policy')).toBe(true);
  expect(may(undefined, 'manage_policy')).toBe(true);
});

test('a gateway is open when it calls us anonymous', () => {
  expect(isOpen(caller({ kind: 'anonymous' }))).toBe(true);
  expect(isOpen(caller({}))).toBe(false);
  expect(isOpen(null)).toBe(false);
});

test('persons are named by their address, keys by their first characters', () => {
  const user = { user_id: 'usr_1', org_id: 'acme', email: 'ada@example.com', role: 'admin' };
  expect(nameOf(caller({ user, user_id: 'usr_1' }))).toBe('ada@example.com');
  expect(nameOf(caller({ kind: 'api_key', key_prefix: 'ask_acme_123', user_id: 'u' }))).toBe('Key ask_acme_123…');
  expect(roleOf(caller({ kind: 'api_key', role: null }))).toBe('API key');
  expect(roleOf(caller({ role: 'viewer' }))).toBe('viewer');
});

test('the way back after a login never leaves the dashboard', () => {
  expect(safeReturn('/access')).toBe('/access');
  for (const bad of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '/login', '', 7, undefined]) {
    expect(safeReturn(bad)).toBe('/');
  }
});
