import { SectionCard } from '@asahi/ui';
import { BookOpen, FileJson, TerminalSquare, type LucideIcon } from 'lucide-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { apiBase } from '../../api/connection';
import { PageHeader } from '../../app/page-header';
import { FirstSteps } from './first-steps';

const kNames = [
  ['auto', 'Autopilot: the gateway detects the task and picks the model.'],
  ['asahi-guided', 'Guided: say quality_preference and latency_preference in the body.'],
  ['gpt-4o-mini, claude-…', 'Explicit: exactly this model; the names stand under Models.'],
] as const;

const linkLook =
  'flex items-start gap-3 rounded-lg border border-line p-4 transition-colors duration-200 hover:border-line-strong hover:bg-sunken/60';

function LinkText({ icon: Icon, title, children }: { icon: LucideIcon; title: string; children: ReactNode }) {
  return (
    <>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0 text-accent-text" />
      <span>
        <span className="block text-sm font-medium text-ink">{title}</span>
        <span className="mt-0.5 block text-xs text-ink-3">{children}</span>
      </span>
    </>
  );
}

const code = 'rounded bg-sunken px-1.5 py-0.5 font-mono text-[13px]';

export function StartPage() {
  const base = apiBase();
  return (
    <>
      <PageHeader title="Getting started" purpose="Point the client you already use at this gateway; nothing else changes." />
      <FirstSteps />
      <div className="mt-4 grid gap-4 lg:grid-cols-[minmax(0,7fr)_minmax(0,5fr)]">
        <SectionCard title="Choosing the model" note="What the model name of a request means, in every shape.">
          <dl className="divide-y divide-line">
            {kNames.map(([name, meaning]) => (
              <div key={name} className="grid gap-x-4 gap-y-1 py-3 last:pb-0 sm:grid-cols-[12rem_minmax(0,1fr)]">
                <dt>
                  <code className={code}>{name}</code>
                </dt>
                <dd className="text-sm text-ink-2">{meaning}</dd>
              </div>
            ))}
          </dl>
        </SectionCard>
        <SectionCard title="Go on">
          <div className="grid gap-3">
            <Link to="/inference" className={linkLook}>
              <LinkText icon={TerminalSquare} title="Inference">
                Try prompts and see what each answer cost.
              </LinkText>
            </Link>
            <a href={`${base}/docs`} target="_blank" rel="noreferrer" className={linkLook}>
              <LinkText icon={BookOpen} title="API reference">
                Every endpoint, with examples to try. Opens a new tab.
              </LinkText>
            </a>
            <a href={`${base}/openapi.json`} target="_blank" rel="noreferrer" className={linkLook}>
              <LinkText icon={FileJson} title="openapi.json">
                OpenAPI 3.1, for code generators. Opens a new tab.
              </LinkText>
            </a>
          </div>
        </SectionCard>
      </div>
    </>
  );
}
