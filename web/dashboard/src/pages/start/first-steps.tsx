/** What an empty gateway needs: something that answers, a call, and a sign that it came. */
import { Badge, Button, CodeTabs, cx, SectionCard, useToast } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Check, KeyRound } from 'lucide-react';
import type { ReactNode } from 'react';

import { apiBase, useConnection } from '../../api/connection';
import { healthQuery, modelsQuery } from '../../api/queries';
import { may, useCaller } from '../../app/access';
import { dollars, milliseconds } from '../../lib/format';
import { snippetsFor } from './snippets';
import { useArrivals, type Arrival } from './use-arrivals';

const kMost = 5;
const code = 'rounded bg-sunken px-1.5 py-0.5 font-mono text-[13px]';

export const inWords = ({ model, cost, latencyMs, cacheHit, error }: Arrival): string =>
  [model ?? 'a call', error ? `failed: ${error}` : cacheHit ? 'from the cache' : undefined, cost === undefined ? undefined : dollars(cost), latencyMs === undefined ? undefined : milliseconds(latencyMs)]
    .filter(Boolean)
    .join(' · ');

function Step({ number, title, done, children }: { number: number; title: string; done: boolean; children: ReactNode }) {
  return (
    <li className="grid grid-cols-[2rem_minmax(0,1fr)] gap-x-4">
      <span
        aria-hidden
        className={cx(
          'grid size-8 place-items-center rounded-full text-sm font-semibold',
          done ? 'bg-ok-soft text-ok-text' : 'bg-accent-soft text-accent-text',
        )}
      >
        {done ? <Check className="size-4" /> : number}
      </span>
      <div className="min-w-0 pb-8">
        <h3 className="mt-1 mb-2 font-semibold text-ink">
          {title}
          {done && <span className="sr-only"> (done)</span>}
        </h3>
        {children}
      </div>
    </li>
  );
}

/** Step one: a vendor's key, or the mock. */
function Answerer() {
  const health = useQuery(healthQuery).data;
  const models = useQuery(modelsQuery).data?.models ?? [];
  const caller = useCaller();
  const ready = models.filter(({ availability }) => availability === 'available').length;
  if (health?.mock) {
    return (
      <Step number={1} title="Something that answers" done>
        <p className="text-sm text-ink-2">
          The mock vendor answers: no key is needed and nothing is paid. For real answers start without <code className={code}>--mock</code>, with a vendor’s key.
        </p>
      </Step>
    );
  }
  return (
    <Step number={1} title="A vendor’s key, or the mock" done={ready > 0}>
      <p className="text-sm text-ink-2">
        {ready > 0
          ? `${ready} models can answer.`
          : 'No model can answer yet. Give the gateway a vendor’s key, or start it with the mock vendor, which needs none:'}
      </p>
      {ready === 0 && (
        <pre className="mt-3 overflow-x-auto rounded-lg bg-sunken p-4 font-mono text-[13px] leading-6 text-ink" tabIndex={0} aria-label="Ways to start">
          {'OPENAI_API_KEY=sk-… asahi serve\nasahi serve --mock'}
        </pre>
      )}
      {may(caller, 'manage_policy') && (
        <Button asChild className="mt-3">
          <Link to="/governance/keys">
            <KeyRound aria-hidden className="size-4" />
            {ready > 0 ? 'Use keys of your organisation' : 'Add a key of your organisation'}
          </Link>
        </Button>
      )}
    </Step>
  );
}

/** Step three: what came since the page was opened. */
function Arrivals({ onFirst }: { onFirst?: (arrival: Arrival) => void }) {
  const { arrivals, listening } = useArrivals(kMost, onFirst);
  return (
    <Step number={3} title="See it arrive" done={arrivals.length > 0}>
      {arrivals.length === 0 ? (
        <p role="status" className="flex items-center gap-2.5 text-sm text-ink-2">
          <span aria-hidden className={cx('size-2.5 rounded-full', listening ? 'animate-pulse bg-accent' : 'bg-line-strong')} />
          {listening ? 'Listening; it appears here by itself.' : 'The gateway cannot be heard; trying again.'}
        </p>
      ) : (
        <ul aria-label="Requests that came" className="space-y-2">
          {arrivals.map((arrival) => (
            <li key={arrival.id} className="flex animate-[appear_200ms_ease-out] flex-wrap items-center gap-2 rounded-lg border border-line px-3 py-2 text-sm">
              <Badge tone={arrival.error ? 'bad' : 'ok'} dot>
                {arrival.error ? 'failed' : 'answered'}
              </Badge>
              <span className="min-w-0 break-words text-ink tabular-nums">{inWords(arrival)}</span>
            </li>
          ))}
        </ul>
      )}
    </Step>
  );
}

/** `greeting`: on a gateway that nobody asked anything yet. */
export function FirstSteps({ greeting = false }: { greeting?: boolean }) {
  const { key } = useConnection();
  const notify = useToast();
  const base = apiBase();
  return (
    <SectionCard
      title={greeting ? 'Welcome. Three steps to the first answer' : 'Three steps'}
      note={
        <>
          This gateway answers at <code className={code}>{base}</code>
        </>
      }
    >
      <ol>
        <Answerer />
        <Step number={2} title="Send a request" done={false}>
          <CodeTabs label="Client" snippets={snippetsFor(base, Boolean(key))} />
          <p className="mt-3 text-sm text-ink-2">
            Send it twice: the second answer comes from the cache and costs nothing. Or{' '}
            <Link to="/inference" className="font-medium text-accent-text underline underline-offset-4">
              ask here
            </Link>
            .
          </p>
        </Step>
        <Arrivals {...(greeting ? { onFirst: (arrival: Arrival) => notify('ok', `The first request is here: ${inWords(arrival)}.`) } : {})} />
      </ol>
      {greeting && (
        <p className="text-sm text-ink-3">
          Only looking around? <code className={code}>asahi demo</code> fills an empty data folder with a month of invented traffic.
        </p>
      )}
    </SectionCard>
  );
}
