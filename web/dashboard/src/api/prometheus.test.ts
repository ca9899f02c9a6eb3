import { expect, test } from 'vitest';

import { meanOf, parseExposition, quantile, total, totalsBy } from './prometheus';

const kText = `# HELP hits Requests
# TYPE hits counter
hits{tier="1",model="a \\"quoted\\" b\\\\c"} 3
hits{tier="2",model="m"} 4e1 1700000000
up 1
t_bucket{route="/a",le="0.005"} 0
t_bucket{route="/a",le="0.01"} 10
t_bucket{route="/a",le="0.1"} 20
t_bucket{route="/a",le="+Inf"} 20
t_bucket{route="/b",le="0.005"} 0
t_bucket{route="/b",le="0.01"} 0
t_bucket{route="/b",le="0.1"} 0
t_bucket{route="/b",le="+Inf"} 80
this is not a sample
`;
const series = parseExposition(kText);

test('reads names, escaped labels, exponents and samples without labels', () => {
  expect(series.get('hits')?.[0]).toEqual({ labels: { tier: '1', model: 'a "quoted" b\\c' }, value: 3 });
  expect(total(series, 'hits')).toBe(43);
  expect(total(series, 'up')).toBe(1);
  expect([...totalsBy(series, 'hits', 'tier')]).toEqual([
    ['1', 3],
    ['2', 40],
  ]);
});

test('a quantile is interpolated inside its bucket', () => {
  const ofA = ({ route }: Readonly<Record<string, string>>) => route === '/a';
  expect(quantile(series, 't', 0.75, ofA)).toEqual({ value: expect.closeTo(0.055), side: 'exact' });
});

test('quantiles outside the bounds say so instead of inventing a number', () => {
  const low = parseExposition('t_bucket{le="0.005"} 9\nt_bucket{le="+Inf"} 9\n');
  expect(quantile(low, 't', 0.95)).toEqual({ value: 0.005, side: 'below' });
  expect(quantile(series, 't', 0.95)).toEqual({ value: 0.1, side: 'above' });
});

test('without observations there is neither quantile nor mean', () => {
  expect(quantile(series, 'missing', 0.5)).toBeUndefined();
  expect(meanOf(series, 'missing')).toBeUndefined();
  expect(meanOf(parseExposition('t_sum 3\nt_count 2\n'), 't')).toBe(1.5);
  expect(quantile(parseExposition('t_bucket{le="+Inf"} 0\n'), 't', 0.5)).toBeUndefined();
});
