import { BarList } from '@asahi/ui';

import type { System } from '../../../api/memory';
import { count, counted, percent } from '../../../lib/format';

type Profile = NonNullable<System['profile']>;

const kShown = 5;
const kFacets = [
  ['languages', 'Languages'],
  ['sources', 'Sources'],
  ['projects', 'Projects'],
  ['users', 'Users'],
  ['kinds', 'Kinds'],
] as const;

/** Languages have names; what has none stays as it is. */
function nameOf(facet: string, value: string): string {
  if (facet !== 'languages') return value;
  try {
    return new Intl.DisplayNames(['en'], { type: 'language' }).of(value) ?? value;
  } catch {
    return value;
  }
}

function Facet({ profile, facet, label }: { profile: Profile; facet: (typeof kFacets)[number][0]; label: string }) {
  const values = Object.entries(profile[facet]).sort(([, a], [, b]) => b - a);
  if (values.length === 0) return null;
  const all = Math.max(profile.memories, 1);
  const rows = values.slice(0, kShown).map(([value, memories]) => ({ name: nameOf(facet, value), amount: memories, text: count(memories), share: percent(memories / all) }));
  return (
    <div>
      <h4 className="mb-2 text-xs font-medium text-ink-2">
        {label}
        {values.length > kShown && `, ${kShown} of ${values.length}${values.length === 20 ? ' or more' : ''}`}
      </h4>
      <BarList label={label} rows={rows} />
    </div>
  );
}

/** What a system remembers: languages, sources, projects, users, kinds, and how much came of late. */
export function SystemProfile({ profile }: { profile: Profile }) {
  const today = profile.hours.reduce((sum, { memories }) => sum + memories, 0);
  const known = kFacets.some(([facet]) => Object.keys(profile[facet]).length > 0);
  return (
    <div className="space-y-4">
      <p className="text-sm text-ink-2 tabular-nums">
        {counted(today, 'memory', 'memories')} of the last 24 hours{profile.partial && '; a tier did not answer, so this is not all'}
      </p>
      {kFacets.map(([facet, label]) => (
        <Facet key={facet} profile={profile} facet={facet} label={label} />
      ))}
      {!known && <p className="text-sm text-ink-2">Its memories in the hot and warm tiers name no language, source, project, user or kind.</p>}
    </div>
  );
}
