import { Choices, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { budgetForecastQuery, usageQuery } from '../../../api/queries';
import { Failure } from '../../../app/failure';
import { count, dollars } from '../../../lib/format';

type Period = 'day' | 'month';

const kPeriods = [
  { value: 'day', label: 'Day' },
  { value: 'month', label: 'Month' },
] as const;

interface MeterProps {
  label: string;
  used: number;
  /** Null: none. */
  limit: number | null;
  show: (value: number) => string;
  note?: string;
}

/** How much of a limit is used. */
function Meter({ label, used, limit, show, note }: MeterProps) {
  const share = limit === null ? 0 : limit > 0 ? Math.min(1, used / limit) : 1;
  return (
    <div className="min-w-0">
      <p className="text-sm text-ink-2">{label}</p>
      <p className="mt-0.5 text-lg font-semibold text-ink tabular-nums">
        {show(used)} <span className="text-sm font-normal text-ink-3">{limit === null ? 'no limit' : `of ${show(limit)}`}</span>
      </p>
      {limit !== null && (
        <div aria-hidden className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-sunken">
          <div className={share >= 0.9 ? 'h-full bg-bad' : 'h-full bg-accent'} style={{ width: `${share * 100}%` }} />
        </div>
      )}
      {note && <p className="mt-1 text-xs text-ink-3">{note}</p>}
    </div>
  );
}

/** The month to come: what analytics predict, or where they cannot, the pace of now. */
function MonthForecast({ estimate, budget }: { estimate: number; budget: number | null }) {
  const forecast = useQuery(budgetForecastQuery(budget ?? 0)).data?.data;
  const predicted = forecast && forecast.method !== 'none' ? forecast.budget.predicted_30_days : undefined;
  return (
    <div className="min-w-0">
      <Meter label={predicted === undefined ? "Month's bill, at this pace" : 'Next 30 days, predicted'} used={predicted ?? estimate} limit={budget} show={(value) => (value === budget ? dollars(value) : `≈ ${dollars(value)}`)} />
      {forecast?.budget_risk && <p className="mt-1.5 text-xs font-medium text-warn-text">{forecast.budget_risk}</p>}
    </div>
  );
}

/** Use of the budgets, in the rolling day or the calendar month. */
export function UsageCard() {
  const [period, setPeriod] = useState<Period>('day');
  const usage = useQuery(usageQuery(period));
  const { data } = usage;
  const limit = (name: string): number | null => {
    const value = data?.policy_limits[name];
    return typeof value === 'number' ? value : null;
  };
  // Budgets count only where something is limited.
  const requestLimit = limit(`max_requests_per_${period}`);
  const costLimit = limit(`max_cost_per_${period}`);
  const plan = data?.policy_limits['plan'];
  return (
    <SectionCard
      title="Use"
      note={typeof plan === 'string' ? `Plan ${plan}` : 'What counts against the limits below.'}
      actions={
        <div className="w-44">
          <Choices legend="Period" value={period} options={kPeriods} onChange={setPeriod} />
        </div>
      }
    >
      {usage.isError && !data ? (
        <Failure title="The use could not be read" error={usage.error} onRetry={() => void usage.refetch()} retrying={usage.isFetching} />
      ) : !data ? (
        <SkeletonRows rows={2} />
      ) : (
        <div className="grid gap-5 sm:grid-cols-3">
          <Meter label="Requests" used={requestLimit === null ? data.request_count : data.budget.requests} limit={requestLimit} show={count} />
          <Meter
            label="Spend"
            used={costLimit === null ? data.total_cost_usd : data.budget.spent_usd}
            limit={costLimit}
            show={dollars}
            {...(data.budget.reserved_usd > 0 ? { note: `${dollars(data.budget.reserved_usd)} reserved by calls under way` } : {})}
          />
          <MonthForecast estimate={data.bill_estimate_usd} budget={limit('max_cost_per_month')} />
        </div>
      )}
    </SectionCard>
  );
}
