import { expect, test } from 'vitest';

import type { Schemas } from '../../api/client';
import { parseExposition } from '../../api/prometheus';
import { largest, latencyText, modelRows, moneyByCause, providerRows, requestsByTask, tokensOf } from './figures';

const metrics = {
  requests_by_model: { mini: 50, sonnet: 1, old: 1 },
  cost_by_model: { mini: 0.002, sonnet: 0.01 },
} as unknown as Schemas['MetricsReply'];

const series = parseExposition(`
asahi_requests_total{cache_tier="0",model="mini",status="success",task_type="faq"} 3
asahi_requests_total{cache_tier="1",model="mini",status="success",task_type="faq"} 2
asahi_requests_total{cache_tier="0",model="none",status="error",task_type="coding"} 4
asahi_model_latency_seconds_bucket{model="mini",le="0.005"} 0
asahi_model_latency_seconds_bucket{model="mini",le="0.1"} 4
asahi_model_latency_seconds_bucket{model="mini",le="+Inf"} 4
asahi_cache_hits_total{tier="1"} 2
asahi_cost_dollars_total{model="mini"} 0.125
asahi_savings_dollars_total{phase="cache_t1"} 0.25
asahi_savings_dollars_total{phase="new_phase"} 0.5
asahi_token_count_count{direction="output"} 4
asahi_token_count_sum{direction="input"} 100
asahi_token_count_sum{direction="output"} 300
`);
const providers = new Map([
  ['mini', 'openai'],
  ['sonnet', 'anthropic'],
]);

test('a model keeps its row when a part of the figures is missing', () => {
  const rows = modelRows(metrics, series, providers);
  expect(rows[0]).toMatchObject({ name: 'mini', provider: 'openai', requests: 50, cost: 0.002, recent: 5, recentHits: 2 });
  expect(rows[2]).toMatchObject({ name: 'old', provider: '', cost: 0, p50: undefined });
  expect(modelRows(metrics, undefined, new Map())).toHaveLength(3);
});

test('models that left the registry are counted under an unknown provider', () => {
  expect(providerRows(modelRows(metrics, series, providers))).toEqual([
    { name: 'openai', models: 1, requests: 50, cost: 0.002, recent: 5, recentHits: 2 },
    { name: 'anthropic', models: 1, requests: 1, cost: 0.01, recent: 0, recentHits: 0 },
    { name: 'unknown', models: 1, requests: 1, cost: 0, recent: 0, recentHits: 0 },
  ]);
});

test('saved tokens are hits times the average call, and unknown before the first call', () => {
  expect(tokensOf(series)).toEqual({ input: 100, output: 300, perCall: 100, saved: 200 });
  expect(tokensOf(parseExposition('')).saved).toBeUndefined();
});

test('failed requests are no task, and a phase without a name of ours keeps its own', () => {
  expect(requestsByTask(series)).toEqual([{ name: 'faq', amount: 5 }]);
  expect(moneyByCause(series)).toEqual([
    { name: 'Saved by the exact cache', amount: 0.25 },
    { name: 'new_phase', amount: 0.5 },
    { name: 'Paid to vendors', amount: 0.125 },
  ]);
});

test('a latency outside the histogram is shown as a bound', () => {
  expect(latencyText({ value: 0.005, side: 'below' })).toBe('< 5 ms');
  expect(latencyText({ value: 10, side: 'above' })).toBe('> 10.0 s');
  expect(latencyText(undefined)).toBe('–');
});

test('a long list of shares ends in the sum of its rest', () => {
  const rows = [1, 5, 2, 4].map((amount) => ({ name: `n${amount}`, amount }));
  expect(largest(rows, 3)).toEqual([rows[1], rows[3], { name: '2 others', amount: 3 }]);
  expect(largest(rows, 4)).toHaveLength(4);
});
