import { cx, Skeleton } from '@asahi/ui';
import { useState } from 'react';

import type { SearchReply } from '../../../api/memory';
import { count } from '../../../lib/format';
import { isChosen, kFacets, toggled, type MemoryChoice } from '../../../lib/memory-search';

const kTitles: Record<string, string> = {
  system_id: 'System',
  tier: 'Tier',
  'date:month': 'Month',
  tags: 'Tag',
  project: 'Project',
  source: 'Source',
  type: 'Type',
  language: 'Language',
};
const kMostShown = 6;

interface FacetProps {
  facet: string;
  counts: Readonly<Record<string, number>>;
  choice: MemoryChoice;
  onChange: (choice: MemoryChoice) => void;
}

function Facet({ facet, counts, choice, onChange }: FacetProps) {
  const [all, setAll] = useState(false);
  const dated = facet.startsWith('date');
  const sorted = Object.entries(counts).sort(([a, m], [b, n]) => (dated ? b.localeCompare(a) : n - m || a.localeCompare(b)));
  const title = kTitles[facet] ?? facet;
  const shown = all ? sorted : sorted.slice(0, kMostShown);
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1.5 text-xs font-semibold text-ink-3 uppercase">{title}</legend>
      <ul className="space-y-0.5">
        {shown.map(([value, number]) => (
          <li key={value}>
            <label className={cx('flex cursor-pointer items-center gap-2 rounded px-1 py-1 text-sm hover:bg-sunken', isChosen(choice, facet, value) ? 'font-medium text-ink' : 'text-ink-2')}>
              <input type="checkbox" className="size-4 shrink-0 accent-accent" checked={isChosen(choice, facet, value)} onChange={() => onChange(toggled(choice, facet, value))} />
              <span className="min-w-0 flex-1 truncate" title={value}>
                {value}
              </span>
              <span className="text-xs text-ink-3 tabular-nums">{count(number)}</span>
            </label>
          </li>
        ))}
        {facet === 'tier' && !choice.tiers.includes('cold') && <li className="px-1 py-1 text-xs text-ink-3">Cold is not asked; tick it above.</li>}
      </ul>
      {sorted.length > kMostShown && (
        <button type="button" className="mt-1 px-1 text-sm text-accent-text underline-offset-4 hover:underline" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Fewer' : `${count(sorted.length - kMostShown)} more…`}
          <span className="sr-only"> of {title}</span>
        </button>
      )}
    </fieldset>
  );
}

interface FacetsProps {
  /** Undefined while loading. */
  facets: SearchReply['facets'] | undefined;
  choice: MemoryChoice;
  onChange: (choice: MemoryChoice) => void;
}

/** What the filters let through, counted; a tick narrows the search. */
export function Facets({ facets, choice, onChange }: FacetsProps) {
  if (!facets) {
    return (
      <div role="status" aria-label="Loading facets" className="space-y-3">
        {['w-20', 'w-40', 'w-36', 'w-44', 'w-24', 'w-40'].map((width, index) => (
          <Skeleton key={index} className={cx('h-4', width)} />
        ))}
      </div>
    );
  }
  const known = kFacets.filter((facet) => Object.keys(facets[facet] ?? {}).length > 0);
  if (known.length === 0) return <p className="text-sm text-ink-3">Nothing to narrow by.</p>;
  return (
    <div className="grid gap-5 sm:grid-cols-2 lg:grid-cols-1">
      {known.map((facet) => (
        <Facet key={facet} facet={facet} counts={facets[facet] ?? {}} choice={choice} onChange={onChange} />
      ))}
    </div>
  );
}
