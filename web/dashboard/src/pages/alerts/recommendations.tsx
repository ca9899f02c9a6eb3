import { Badge, Button, EmptyState, SectionCard, SkeletonRows, useToast, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouter } from '@tanstack/react-router';
import { Lightbulb } from 'lucide-react';
import { useState } from 'react';

import type { Schemas } from '../../api/client';
import { recommendationsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { count, counted, dollars } from '../../lib/format';
import { setDismissed, useDismissed } from './dismissed';

type Recommendation = Schemas['Recommendation'];

const tones: Record<Recommendation['priority'], Tone> = { high: 'bad', medium: 'warn', low: 'neutral' };

/** Where what is recommended is done. */
const kPlaces: Record<Recommendation['category'], { to: string; label: string; search?: Record<string, string> }> = {
  cache: { to: '/cache', label: 'Open the cache' },
  routing: { to: '/settings', label: 'Open routing', search: { tab: 'routing' } },
  token: { to: '/settings', label: 'Open settings' },
  model: { to: '/models', label: 'Open models' },
};

function RecommendationCard({ found, dismissed }: { found: Recommendation; dismissed: boolean }) {
  const all = useDismissed();
  const notify = useToast();
  const router = useRouter();
  const place = kPlaces[found.category];
  const dismiss = () => {
    setDismissed([...all, found.id]);
    notify('info', 'Dismissed in this browser.');
  };
  return (
    <li className="flex min-w-0 flex-col rounded-lg border border-line p-4">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Badge tone={tones[found.priority]} dot>
          {found.priority} priority
        </Badge>
        {found.estimated_savings > 0 && <span className="text-sm font-semibold text-ok-text tabular-nums">≈ {dollars(found.estimated_savings)} saved</span>}
      </div>
      <h3 className="mt-3 font-semibold break-words text-ink">{found.title}</h3>
      <p className="mt-1 text-sm break-words text-ink-2">{found.description}</p>
      <p className="mt-2 mb-4 text-sm break-words text-ink">{found.action}</p>
      <div className="mt-auto flex flex-wrap gap-2">
        {place.to in router.routesByPath && (
          <Button asChild look="primary">
            <Link to={place.to} {...(place.search ? { search: place.search } : {})}>
              {place.label}
            </Link>
          </Button>
        )}
        {dismissed ? (
          <Button look="ghost" onClick={() => setDismissed(all.filter((id) => id !== found.id))}>
            Bring back
          </Button>
        ) : (
          <Button look="ghost" aria-label={`Dismiss: ${found.title}`} onClick={dismiss}>
            Dismiss
          </Button>
        )}
      </div>
    </li>
  );
}

export function RecommendationsCard() {
  const asked = useQuery(recommendationsQuery);
  const dismissed = useDismissed();
  const [all, setAll] = useState(false);
  const { data } = asked;
  const found = data?.data ?? [];
  const shown = found.filter(({ id }) => all || !dismissed.includes(id));
  const hidden = found.filter(({ id }) => dismissed.includes(id)).length;
  return (
    <SectionCard
      className="mt-4"
      title="Recommendations"
      note={data ? `From ${counted(data.requests, 'request')} of the last 30 days; savings are estimates over as long.` : 'What would save money.'}
      actions={
        hidden > 0 && (
          <Button look="ghost" aria-pressed={all} onClick={() => setAll(!all)}>
            {all ? 'Hide' : 'Show'} {hidden} dismissed
          </Button>
        )
      }
    >
      {asked.isError && !data ? (
        <Failure title="There are no recommendations to show" error={asked.error} onRetry={() => void asked.refetch()} retrying={asked.isFetching} />
      ) : !data ? (
        <SkeletonRows rows={3} />
      ) : data.requests < data.requests_needed ? (
        <EmptyState icon={Lightbulb} title="Too few requests to recommend anything">
          {count(data.requests)} of the {count(data.requests_needed)} requests that it takes.
        </EmptyState>
      ) : shown.length === 0 ? (
        <EmptyState icon={Lightbulb} title={hidden > 0 ? 'All dismissed' : 'Nothing to recommend'}>
          {hidden > 0 ? 'What was dismissed comes back when it says something new.' : 'Caches, routing and models do what they can.'}
        </EmptyState>
      ) : (
        <ul className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
          {shown.map((recommendation) => (
            <RecommendationCard key={recommendation.id} found={recommendation} dismissed={dismissed.includes(recommendation.id)} />
          ))}
        </ul>
      )}
    </SectionCard>
  );
}
