import { Button, EmptyState } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { PiggyBank } from 'lucide-react';

import { savingsQuery } from '../api/analytics';
import { SavingsWaterfall } from '../charts/savings-waterfall';
import { percent } from '../lib/format';
import { rangeText, type Range } from '../lib/range';
import { Widget } from './widget';

const kNames: Record<string, string> = {
  baseline: 'Baseline',
  routing: 'Routing',
  cache_t1: 'Exact cache',
  cache_t2: 'Semantic cache',
  cache_t3: 'Workflow cache',
  tokens: 'Fewer tokens',
  batching: 'Batching',
  actual: 'Paid',
};

/** Where the money of the baseline went. */
export function SavingsCard({ range, className }: { range: Range; className?: string }) {
  const savings = useQuery(savingsQuery(range));
  const model = savings.data?.baseline_model;
  return (
    <Widget
      title="Savings"
      note={`From the price at ${model || 'the baseline model'} to what was paid, ${rangeText(range)}.`}
      query={savings}
      failure="The savings could not be loaded"
      height={304}
      {...(className ? { className } : {})}
      actions={
        savings.data &&
        savings.data.baseline_cost > 0 && (
          <p className="text-right">
            <span className="text-xl leading-6 font-semibold text-ok-text tabular-nums">{percent(savings.data.savings_pct / 100)}</span>
            <span className="ml-1.5 text-xs text-ink-3">saved</span>
          </p>
        )
      }
      empty={(data) =>
        data.baseline_cost > 0 ? undefined : (
          <EmptyState
            icon={PiggyBank}
            title="Nothing was paid or saved"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            As soon as requests are answered, this shows what each technique took off their price.
          </EmptyState>
        )
      }
    >
      {({ waterfall, baseline_cost }) => (
        <SavingsWaterfall whole={baseline_cost} steps={waterfall.map(({ key, label, kind, amount }) => ({ name: kNames[key] ?? label, kind, amount }))} />
      )}
    </Widget>
  );
}
