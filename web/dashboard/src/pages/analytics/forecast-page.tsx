import { Badge, Button, cx, EmptyState, Field, Input, Notice, Segments, Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { CalendarClock, ChartSpline, CircleAlert, CircleCheck, Coins, TriangleAlert, TrendingUp } from 'lucide-react';
import { useEffect, useState } from 'react';

import { forecastQuery } from '../../api/analytics';
import type { Schemas } from '../../api/client';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { Widget } from '../../app/widget';
import { TimeChart } from '../../charts/charts';
import { kDay, type Row } from '../../charts/series';
import { dollars, dollarsShort, percent } from '../../lib/format';
import { numberOf } from '../../lib/forms';
import { AnalyticsTabs } from './tabs';

type Forecast = Schemas['ForecastReply']['data'];

const kHorizons = ['7', '14', '30', '90'] as const;
const kMost = 1e9;
const kTyping = 400;
const kBand = { low: 'low', high: 'high', name: 'Likely range', colour: 'var(--chart-2)' };

/** Days that were and days to come in one row of points; the forecast begins where the known ends. */
function rowsOf({ history, daily }: Forecast): Row[] {
  const day = (date: string) => Date.parse(`${date}T00:00:00Z`);
  const rows: Row[] = history.map(({ date, cost }) => ({ t: day(date), cost }));
  const last = rows.at(-1);
  if (last && daily.length > 0) {
    const cost = last['cost'] ?? 0;
    Object.assign(last, { predicted: cost, low: cost, high: cost });
  }
  for (const { date, predicted_cost, confidence_low, confidence_high } of daily) {
    rows.push({ t: day(date), predicted: predicted_cost, low: confidence_low, high: confidence_high });
  }
  return rows;
}

/** The answer to “will it be enough?”, in words and colour. */
function RiskBanner({ forecast }: { forecast: Forecast }) {
  const { budget, budget_risk: risk } = forecast;
  if (!risk && budget.monthly_budget <= 0) return null;
  const over = budget.predicted_30_days > budget.monthly_budget;
  const [Icon, frame, text] = !risk
    ? [CircleCheck, 'border-ok/50 bg-ok-soft', 'text-ok-text']
    : over
      ? [CircleAlert, 'border-bad/50 bg-bad-soft', 'text-bad-text']
      : [TriangleAlert, 'border-warn/50 bg-warn-soft', 'text-warn-text'];
  return (
    <div role="status" data-testid="risk" className={cx('mb-4 flex items-start gap-3 rounded-lg border p-4 text-sm', frame)}>
      <Icon aria-hidden className={cx('mt-0.5 size-5 shrink-0', text)} />
      <div className="min-w-0">
        <p className={cx('font-semibold', text)}>{!risk ? 'Within the budget' : over ? 'The budget will be overrun' : 'The budget may be overrun'}</p>
        <p className="mt-0.5 text-ink">
          {risk ?? `The next 30 days are expected to cost ${dollars(budget.predicted_30_days)} of ${dollars(budget.monthly_budget)}.`}
        </p>
      </div>
    </div>
  );
}

function BudgetUse({ budget }: { budget: Forecast['budget'] }) {
  if (budget.monthly_budget <= 0) return null;
  const part = budget.last_30_days / budget.monthly_budget;
  return (
    <div className="min-w-56 flex-1 sm:pt-6">
      <div className="flex justify-between gap-3 text-sm">
        <span className="text-ink-2">Last 30 days</span>
        <span className="text-ink tabular-nums">
          {dollars(budget.last_30_days)} <span className="text-ink-3">({percent(part)})</span>
        </span>
      </div>
      <div role="meter" aria-label="Part of the budget paid in the last 30 days" aria-valuenow={Math.round(Math.min(part, 1) * 100)} aria-valuemin={0} aria-valuemax={100} className="mt-2 h-2.5 overflow-hidden rounded-full bg-line">
        <span className={cx('block h-full rounded-full', part > 1 ? 'bg-bad' : part > 0.8 ? 'bg-warn' : 'bg-ok')} style={{ width: `${Math.min(part, 1) * 100}%` }} />
      </div>
    </div>
  );
}

const kTrends: Record<Forecast['trend'], string> = { rising: 'Rising', falling: 'Falling', stable: 'Stable' };
const kMethods: Record<Forecast['method'], string> = { ema: 'moving average of the days', linear: 'straight line through the days', none: 'too few days' };

export function ForecastPage() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const horizon = kHorizons.find((known) => known === String(search['days'])) ?? '30';
  const asked = Number(search['budget']);
  const budget = Number.isFinite(asked) && asked > 0 && asked <= kMost ? asked : 0;
  const [typed, setTyped] = useState(budget > 0 ? String(budget) : '');
  const forecast = useQuery(forecastQuery(Number(horizon), budget));
  const { data } = forecast;
  const value = numberOf(typed);
  const wrong = value === undefined || (value ?? 0) > kMost;
  const set = (change: Record<string, unknown>) =>
    void navigate({ to: '.', search: ((old: Record<string, unknown>) => ({ ...old, ...change })) as never, replace: true, resetScroll: false });

  // What is typed counts once the typing stops.
  useEffect(() => {
    if (wrong || (value ?? 0) === budget) return;
    const timer = setTimeout(() => set({ budget: value || undefined }), kTyping);
    return () => clearTimeout(timer);
  });

  return (
    <>
      <PageHeader title="Forecast" purpose="What the days to come will cost, and whether the budget holds." actions={<Refresh keys={['analytics']} updatedAt={forecast.dataUpdatedAt} />} />
      <AnalyticsTabs />
      <div className="mb-4 flex flex-wrap items-start gap-x-6 gap-y-3">
        <div>
          <p className="mb-1.5 text-sm font-medium text-ink">Days ahead</p>
          <Segments label="Days ahead" value={horizon} options={kHorizons.map((days) => ({ value: days, label: `${days} days` }))} onChange={(days) => set({ days })} />
        </div>
        <Field
          label="Monthly budget"
          className="w-full sm:w-64"
          hint={wrong ? <span className="text-bad-text">A number of US dollars from 0 on.</span> : data?.budget.source === 'policy' ? 'From the policy; type another to try it.' : 'US dollars in 30 days.'}
        >
          {(ids) => (
            <Input
              {...ids}
              inputMode="decimal"
              autoComplete="off"
              aria-invalid={wrong || undefined}
              placeholder={data && data.budget.monthly_budget > 0 ? String(data.budget.monthly_budget) : 'None'}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        {data && <BudgetUse budget={data.budget} />}
      </div>
      {data && <RiskBanner forecast={data} />}
      {data?.warning && (
        <div className="mb-4">
          <Notice tone={data.method === 'none' ? 'info' : 'warn'}>{data.warning}</Notice>
        </div>
      )}
      {!forecast.isError && data?.method !== 'none' && (
        <div className="mb-4 grid gap-3 sm:grid-cols-3 sm:gap-4">
          <Stat
            highlight
            label={`Expected, ${data?.period ?? `next ${horizon} days`}`}
            icon={Coins}
            value={data && dollars(data.predicted_cost)}
            note={data && `${percent(data.confidence)} likely: ${dollars(data.confidence_low)} to ${dollars(data.confidence_high)}`}
          />
          <Stat label="Trend" icon={TrendingUp} value={data && kTrends[data.trend]} note={data && `By a ${kMethods[data.method]}`} />
          <Stat label="Last 30 days" icon={CalendarClock} value={data && dollars(data.budget.last_30_days)} note="Today included" />
        </div>
      )}
      <Widget
        title="Cost per day"
        note="Whole UTC days, then the forecast with the range that a day is likely to stay in."
        query={forecast}
        failure="The forecast could not be made"
        height={380}
        actions={data && data.method !== 'none' && <Badge tone={data.trend === 'rising' ? 'warn' : data.trend === 'falling' ? 'ok' : 'neutral'}>{kTrends[data.trend]}</Badge>}
        empty={({ history, daily }) =>
          history.length > 0 || daily.some(({ predicted_cost }) => predicted_cost > 0) ? undefined : (
            <EmptyState
              icon={ChartSpline}
              title="No day to learn from yet"
              action={
                <Button asChild>
                  <Link to="/inference">Ask something</Link>
                </Button>
              }
            >
              A forecast needs three whole days with requests; today does not count.
            </EmptyState>
          )
        }
      >
        {(known) => {
          const some = known.method !== 'none';
          const last = known.history.at(-1);
          return (
            <TimeChart
              label={some ? `Cost per day with a forecast of ${dollars(known.predicted_cost)}` : 'Cost per day'}
              rows={rowsOf(some ? known : { ...known, daily: [] })}
              lines={[
                { key: 'cost', name: 'Paid', colour: 'var(--chart-1)' },
                ...(some ? [{ key: 'predicted', name: 'Forecast', colour: 'var(--chart-2)', dashed: true }] : []),
              ]}
              step={kDay}
              height={320}
              format={dollarsShort}
              exact={dollars}
              band={some ? kBand : undefined}
              mark={known.budget.monthly_budget > 0 ? { value: known.budget.monthly_budget / 30, name: 'Budget per day' } : undefined}
              now={some && last ? { t: Date.parse(`${last.date}T00:00:00Z`), name: '' } : undefined}
            />
          );
        }}
      </Widget>
    </>
  );
}
