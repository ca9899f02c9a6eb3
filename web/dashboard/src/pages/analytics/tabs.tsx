import { Link } from '@tanstack/react-router';

import { may, useCaller } from '../../app/access';
import type { Range } from '../../lib/range';

const kTabs = [
  { to: '/analytics', label: 'Summary' },
  { to: '/analytics/cost', label: 'Cost', needs: 'view_cost' },
  { to: '/analytics/trends', label: 'Trends' },
  { to: '/analytics/forecast', label: 'Forecast', needs: 'view_cost' },
] as const;

/** The pages of analytics; the range goes along. */
export function AnalyticsTabs({ range }: { range?: Range }) {
  const caller = useCaller();
  return (
    <nav aria-label="Analytics" className="mb-5 flex overflow-x-auto border-b sm:gap-1 border-line">
      {kTabs
        .filter((tab) => !('needs' in tab) || may(caller, tab.needs))
        .map(({ to, label }) => (
          <Link
            key={to}
            to={to}
            search={(range ?? {}) as never}
            activeOptions={{ exact: true, includeSearch: false }}
            className="-mb-px border-b-2 px-2 py-2 text-sm sm:px-3 font-medium whitespace-nowrap transition-colors duration-200 focus-visible:-outline-offset-2"
            activeProps={{ className: 'border-accent text-ink' }}
            inactiveProps={{ className: 'border-transparent text-ink-2 hover:text-ink' }}
          >
            {label}
          </Link>
        ))}
    </nav>
  );
}
