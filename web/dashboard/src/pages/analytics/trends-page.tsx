import { Field, Select } from '@asahi/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';

import { kGroups, kMetrics } from '../../api/analytics';
import { may, useCaller } from '../../app/access';
import { PageHeader } from '../../app/page-header';
import { RangePicker, useRange } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { useNow } from '../../app/use-now';
import { bucketsOf, rangeText, stepsFor } from '../../lib/range';
import { kGroupNames, kMetricTexts } from './metrics';
import { AnalyticsTabs } from './tabs';
import { TrendCard } from './trend-card';

/** Any metric over any time, told apart by anything; everything chosen stands in the address. */
export function TrendsPage() {
  const [range, setRange] = useRange('7d');
  const caller = useCaller();
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const now = useNow(60_000);
  const metrics = kMetrics.filter((name) => may(caller, kMetricTexts[name].needs ?? 'view_metrics'));
  const metric = metrics.find((known) => known === search['metric']) ?? metrics[0] ?? 'requests';
  const group = kGroups.find((known) => known === search['group']);
  const steps = stepsFor(range, now);
  const step = steps.find((known) => known === search['step']);
  const buckets = bucketsOf(range, now, step);
  const usual = steps.find((name) => bucketsOf(range, now, name).step === bucketsOf(range, now).step);
  const choose = (name: string) => (value: string) =>
    void navigate({ to: '.', search: ((old: Record<string, unknown>) => ({ ...old, [name]: value || undefined })) as never, replace: true, resetScroll: false });
  const text = kMetricTexts[metric];
  return (
    <>
      <PageHeader title="Trends" purpose="One figure over time, for all or told apart." actions={<Refresh keys={['analytics']} updatedAt={0} />} />
      <AnalyticsTabs range={range} />
      <div className="mb-4 grid grid-cols-2 items-end gap-3 sm:flex sm:flex-wrap">
        <Field label="Metric" className="sm:w-44">
          {(ids) => (
            <Select {...ids} value={metric} onChange={(event) => choose('metric')(event.target.value)}>
              {metrics.map((name) => (
                <option key={name} value={name}>
                  {kMetricTexts[name].name}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Told apart by" className="sm:w-40">
          {(ids) => (
            <Select {...ids} value={group ?? ''} onChange={(event) => choose('group')(event.target.value)}>
              <option value="">Nothing</option>
              {kGroups.map((name) => (
                <option key={name} value={name}>
                  {kGroupNames[name]}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Interval" className="sm:w-36">
          {(ids) => (
            <Select {...ids} value={step ?? ''} onChange={(event) => choose('step')(event.target.value)}>
              <option value="">{usual ? `Auto (${usual})` : 'Auto'}</option>
              {steps.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <div className="max-sm:col-span-full">
          <RangePicker range={range} onChange={setRange} />
        </div>
      </div>
      <TrendCard
        title={group ? `${text.name} by ${kGroupNames[group].toLowerCase()}` : text.name}
        note={`${buckets.intervals} points, ${rangeText(range)}.${text.mean ? ' A moment without requests has none.' : ''}`}
        metric={metric}
        group={group}
        buckets={buckets}
        height={360}
      />
    </>
  );
}
