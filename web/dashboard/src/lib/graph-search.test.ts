import { expect, test } from 'vitest';

import { graphAddressOf, graphChoiceOf, momentsOf, nameOf } from './graph-search';

test('an address chooses what makes sense, and is written as short as it can be', () => {
  const search = { id: 'user:ana', to: 'user:ben', hops: '8', at: '2026-11-03', known: 'yesterday', ever: true };
  const choice = graphChoiceOf(search);
  expect(choice).toEqual({ id: 'user:ana', to: 'user:ben', hops: 8, at: '2026-11-03', ever: true });
  expect(graphAddressOf(choice)).toEqual({ id: 'user:ana', to: 'user:ben', hops: 8, at: '2026-11-03', ever: true });
  expect(graphAddressOf(graphChoiceOf({ hops: 4711, ever: 'no', to: 'user:ben' }))).toEqual({});
  expect(graphChoiceOf({ id: 'user:ana', to: 'user:ana' })).not.toHaveProperty('to');
});

test('a day is looked at from its end', () => {
  expect(momentsOf(graphChoiceOf({ at: '2026-11-03', known: '2026-11-05' }))).toEqual({ as_of: '2026-11-03T23:59:59Z', known_at: '2026-11-05T23:59:59Z' });
  expect(momentsOf(graphChoiceOf({}))).toEqual({});
});

test('an entity is called as memories write it, or by its key', () => {
  expect(nameOf('user:ana', 'Ana Ruiz')).toBe('Ana Ruiz');
  expect(nameOf('user:ana@x:1', null)).toBe('ana@x:1');
  expect(nameOf('odd')).toBe('odd');
});
