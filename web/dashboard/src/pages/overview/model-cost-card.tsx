import { Button, EmptyState, Skeleton } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChartPie } from 'lucide-react';

import { costQuery } from '../../api/analytics';
import { Widget } from '../../app/widget';
import { ShareChart } from '../../charts/charts';
import { dollars } from '../../lib/format';
import { rangeText, type Range } from '../../lib/range';
import { partsOf } from '../../lib/shares';

const kMostModels = 6;

export function ModelCostCard({ range }: { range: Range }) {
  const cost = useQuery(costQuery(range, 'model'));
  return (
    <Widget
      title="Cost by model"
      note={`What was paid for answers, ${rangeText(range)}.`}
      query={cost}
      failure="The costs could not be loaded"
      height={280}
      skeleton={
        <div className="grid place-items-center py-8">
          <Skeleton className="size-46 rounded-full" />
        </div>
      }
      actions={
        <Link to="/analytics/cost" search={{ range: range.range }} className="text-sm font-medium text-accent-text underline-offset-4 hover:underline">
          Break it down
        </Link>
      }
      empty={(data) =>
        data.total_cost > 0 ? undefined : (
          <EmptyState
            icon={ChartPie}
            title="Nothing was paid"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            Answers from the cache are free; those of models show up here.
          </EmptyState>
        )
      }
    >
      {({ items }) => (
        <ShareChart
          label="Cost by model"
          slices={partsOf(items.map(({ key, cost: value }) => ({ name: key, value })), kMostModels)}
          format={dollars}
          whole="paid"
        />
      )}
    </Widget>
  );
}
