import { Stat } from '@asahi/ui';
import { Coins, PiggyBank, Send, Star } from 'lucide-react';

import type { Schemas } from '../../api/client';
import { Delta } from '../../app/delta';
import { count, countShort, dollars, percent } from '../../lib/format';

type Overview = Schemas['OverviewReply']['data'];

/** The four figures of the page. `overview` is undefined while loading. */
export function StatCards({ overview }: { overview: Overview | undefined }) {
  const now = overview?.current;
  const change = overview?.delta_pct;
  return (
    <div className="grid gap-3 min-[480px]:grid-cols-2 sm:gap-4 lg:grid-cols-4">
      <Stat
        highlight
        label="Cost savings"
        icon={PiggyBank}
        value={now && (now.baseline_cost > 0 ? percent(now.savings_pct / 100) : '–')}
        note={now && `${dollars(now.savings)} of ${dollars(now.baseline_cost)} at the baseline model`}
      />
      <Stat
        label="Requests"
        icon={Send}
        value={now && countShort(now.requests)}
        note={
          now && (
            <>
              <Delta percent={change?.['requests']} /> · {now.errors === 0 ? 'none failed' : `${count(now.errors)} failed`}
            </>
          )
        }
      />
      <Stat
        label="Total cost"
        icon={Coins}
        value={now && dollars(now.total_cost)}
        note={
          now && (
            <>
              <Delta percent={change?.['total_cost']} better="down" /> · {dollars(now.avg_cost_per_request)} each
            </>
          )
        }
      />
      <Stat
        label="Quality"
        icon={Star}
        value={
          now &&
          (now.avg_quality > 0 ? (
            <>
              {now.avg_quality.toFixed(2)}
              <span className="text-base font-medium text-ink-3"> / 5</span>
            </>
          ) : (
            '–'
          ))
        }
        note={now && (now.avg_quality > 0 ? <Delta percent={change?.['avg_quality']} better="up" /> : 'No answer was rated yet')}
      />
    </div>
  );
}
