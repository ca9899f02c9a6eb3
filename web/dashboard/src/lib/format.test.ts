import { expect, test } from 'vitest';

import { bytes, count, counted, countShort, dollars, dollarsShort, duration, latencyOf, milliseconds, percent, pricePerMillion } from './format';

test.each([
  [0, '$0'],
  [0.000007, '$0.000007'],
  [0.000123, '$0.000123'],
  [0.0000004, '<$0.000001'],
  [0.00069, '$0.000690'],
  [0.0123, '$0.0123'],
  [1, '$1.00'],
  [12345.678, '$12,345.68'],
  [-0.000604, '−$0.000604'],
])('dollars(%d) keeps what a single request costs: %s', (amount, text) => {
  expect(dollars(amount)).toBe(text);
});

test.each([
  [0.00015000000000000001, '$0.15'],
  [0.030000000000000002, '$30.00'],
  [0.000075, '$0.075'],
  [7.500000000000001e-5, '$0.075'],
  [0, 'free'],
])('a price per 1,000 tokens shows without floating-point dust: %d is %s', (per1k, text) => {
  expect(pricePerMillion(per1k)).toBe(text);
});

test.each([
  [0, '0%'],
  [0.3333, '33.3%'],
  [0.5, '50%'],
  [0.38000000000000006, '38%'],
  [0.9994, '99.9%'],
  [1, '100%'],
  [NaN, '–'],
])('percent(%d) is %s', (share, text) => {
  expect(percent(share)).toBe(text);
});

test.each([
  [0.125, '0.13 ms'],
  [47.31, '47.3 ms'],
  [100, '100 ms'],
  [999.6, '1.00 s'],
  [1536, '1.54 s'],
  [12_345, '12.3 s'],
  [90_000, '1 min 30 s'],
])('milliseconds(%d) is %s', (ms, text) => {
  expect(milliseconds(ms)).toBe(text);
});

test.each([
  [0, '0 s'],
  [59.9, '59 s'],
  [3600, '1 h'],
  [604_799, '6 d 23 h'],
])('duration(%d) names the two largest units: %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test('a count names one thing as one', () => {
  expect([counted(0, 'link'), counted(1, 'link'), counted(1200, 'memory', 'memories'), counted(1, 'memory', 'memories')]).toEqual([
    '0 links',
    '1 link',
    '1,200 memories',
    '1 memory',
  ]);
});

test('sizes and counts', () => {
  expect([bytes(0), bytes(1023), bytes(1358), bytes(5 * 1024 ** 3)]).toEqual(['0 B', '1023 B', '1.3 KB', '5.0 GB']);
  expect([count(1234567), countShort(9999), countShort(128_000), countShort(1_048_576)]).toEqual([
    '1,234,567',
    '9,999',
    '128K',
    '1.05M',
  ]);
});

test.each([
  [0, '$0'],
  [0.00025, '$0.00025'],
  [1.25, '$1.25'],
  [2, '$2'],
  [12, '$12'],
  [12.5, '$12.5'],
  [1500, '$1.5K'],
])('dollarsShort(%d) fits beside an axis', (amount, text) => expect(dollarsShort(amount)).toBe(text));

test.each([
  [0, '< 1 ms'],
  [1, '1 ms'],
  [42, '42 ms'],
  [1234, '1.23 s'],
])('latencyOf(%d)', (ms, text) => expect(latencyOf(ms)).toBe(text));
