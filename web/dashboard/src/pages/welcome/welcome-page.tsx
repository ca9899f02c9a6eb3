import { Badge, Button, cx, Drawer, Dot, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ArrowRight, Check, Menu } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';

import { apiBase } from '../../api/connection';
import { healthQuery } from '../../api/queries';
import { Calculator } from './calculator';
import { Picture } from './picture';

const kSections = [
  { id: 'products', label: 'Products' },
  { id: 'customers', label: 'Customers' },
  { id: 'resources', label: 'Resources' },
  { id: 'pricing', label: 'Pricing' },
  { id: 'contact', label: 'Contact' },
] as const;

const kTiers = [
  {
    name: 'Tier 1',
    title: 'The same question',
    text: 'An exact repeat is answered from memory or Redis, for nothing and in a fraction of a millisecond.',
    points: ['Per organisation, keyed and sealed', 'Identical requests in flight share one call'],
  },
  {
    name: 'Tier 2',
    title: 'The same meaning',
    text: 'A question that means the same gets the same answer, where a verifier finds numbers, names and negations unchanged.',
    points: ['An error bound that is learned and held', 'Every hit explains itself and can be reported'],
  },
  {
    name: 'Tier 3',
    title: 'The same parts',
    text: 'Composed requests are taken apart; steps whose results are known are not run again.',
    points: ['Summaries, translations, extractions', 'Off for what must not be divided'],
  },
] as const;

/** From docs/benchmarks.md, in its words. */
const kResults = [
  { figure: '99.3%', text: 'less paid than with the baseline model alone, in our benchmark mix of 200 requests with a mock vendor at list prices' },
  { figure: '0 of 31', text: 'cache hits of that mix were wrong' },
  { figure: '58 µs', text: 'added to a call, median, one at a time, with every tier on' },
  { figure: '81,832', text: 'exact hits a second on one core, 1.46 times nginx proxying' },
] as const;

const kReaders = [
  ['Who writes the application', 'Change the base URL; OpenAI’s and Anthropic’s SDKs work as they are.'],
  ['Who pays', 'Budgets per day and month that hold, with a forecast; every answer says what it cost and saved.'],
  ['Who answers for it', 'Keys, roles and policies; personal data masked; an audit log whose entries are chained.'],
] as const;

const tones: Record<string, Tone> = { healthy: 'ok', degraded: 'warn', unhealthy: 'bad' };

function EngineBadge() {
  const { data, isError } = useQuery(healthQuery);
  const word = isError ? 'away' : (data?.status ?? 'being asked');
  return (
    <span role="status">
      <Badge tone={isError ? 'bad' : (tones[data?.status ?? ''] ?? 'neutral')} dot>
        Engine {word}
        {data && !isError && ` · version ${data.version}`}
      </Badge>
    </span>
  );
}

/** Addresses after '#' are pages, so a jump within this one is made by hand. */
function Jump({ to, className, children, onDone }: { to: string; className?: string; children: ReactNode; onDone?: (() => void) | undefined }) {
  return (
    <button
      type="button"
      className={className}
      onClick={() => {
        onDone?.();
        const target = document.getElementById(to);
        target?.scrollIntoView({ behavior: 'smooth' });
        target?.focus({ preventScroll: true });
      }}
    >
      {children}
    </button>
  );
}

const navLook = 'rounded-lg px-3 py-2 text-sm font-medium text-ink-2 transition-colors duration-200 hover:bg-sunken hover:text-ink';

function Links({ className, onDone }: { className?: string; onDone?: () => void }) {
  return (
    <>
      {kSections.slice(0, 1).map(({ id, label }) => (
        <Jump key={id} to={id} className={cx(navLook, className)} onDone={onDone}>
          {label}
        </Jump>
      ))}
      <a href={`${apiBase()}/docs`} className={cx(navLook, className)}>
        Docs
      </a>
      {kSections.slice(1).map(({ id, label }) => (
        <Jump key={id} to={id} className={cx(navLook, className)} onDone={onDone}>
          {label}
        </Jump>
      ))}
    </>
  );
}

function Section({ id, title, lead, children }: { id: string; title: string; lead?: string; children: ReactNode }) {
  return (
    <section id={id} tabIndex={-1} aria-labelledby={`${id}-title`} className="mx-auto max-w-[1184px] scroll-mt-16 px-6 py-12 outline-none sm:py-16">
      <h2 id={`${id}-title`} className="text-[28px] leading-[1.3] font-bold tracking-tight text-ink sm:text-[36px]">
        {title}
      </h2>
      {lead && <p className="mt-3 max-w-2xl text-ink-2">{lead}</p>}
      <div className="mt-8">{children}</div>
    </section>
  );
}

export function WelcomePage() {
  const [menu, setMenu] = useState(false);
  useEffect(() => {
    document.title = 'Asahi';
  }, []);
  const footLink = 'rounded text-white/75 underline-offset-4 hover:text-white hover:underline';
  return (
    <div className="bg-page">
      <header className="sticky top-0 z-20 border-b border-line bg-page/95 backdrop-blur">
        <div className="mx-auto flex h-16 max-w-[1184px] items-center gap-2 px-4 sm:px-6">
          <span className="mr-4 flex items-center gap-2.5 text-lg font-semibold tracking-tight text-ink">
            <img src="./favicon.svg" alt="" width={28} height={28} />
            Asahi
          </span>
          <nav aria-label="This page" className="hidden items-center lg:flex">
            <Links />
          </nav>
          <div className="ml-auto flex items-center gap-2">
            <Button asChild look="ghost" className="max-sm:hidden">
              <Link to="/login">Login</Link>
            </Button>
            <Button asChild look="primary">
              <Link to="/signup">Sign Up</Link>
            </Button>
            <Button look="ghost" size="icon" aria-label="Open menu" className="lg:hidden" onClick={() => setMenu(true)}>
              <Menu aria-hidden className="size-5" />
            </Button>
          </div>
        </div>
      </header>
      <Drawer open={menu} onOpenChange={setMenu} title="Menu">
        <nav aria-label="This page" className="flex flex-col items-stretch gap-1 px-4 pt-16">
          <Links className="text-left" onDone={() => setMenu(false)} />
          <Link to="/login" className={navLook}>
            Login
          </Link>
        </nav>
      </Drawer>
      <main>
        <section aria-labelledby="claim" className="mx-auto grid max-w-[1184px] items-center gap-10 px-6 py-12 sm:py-16 lg:grid-cols-2">
          <div>
            <p className="flex flex-wrap items-center gap-3 text-sm font-semibold tracking-wide text-accent-text">
              Your own AI gateway <EngineBadge />
            </p>
            <h1 id="claim" className="mt-4 text-[36px] leading-[1.2] font-bold tracking-tight text-ink sm:text-[48px]">
              The same answers, for a fraction of the price
            </h1>
            <p className="mt-5 text-lg leading-7 text-ink-2">
              Built to cut 85–97 % of what one top model for everything costs: a cache in three tiers, and a router that picks the cheapest model that is good enough. Our own
              benchmark mix measured 99.3 %; <code className="font-mono text-base">asahi benchmark</code> measures yours.
            </p>
            <div className="mt-8 flex flex-wrap gap-3">
              <Button asChild look="primary" size="lg">
                <Link to="/signup">
                  Start Building
                  <ArrowRight aria-hidden className="size-5" />
                </Link>
              </Button>
              <Button asChild size="lg">
                <a href={`${apiBase()}/docs`}>Get Demo</a>
              </Button>
            </div>
            <p className="mt-3 text-xs text-ink-3">
              The demo is the reference page: try every call there. <code className="font-mono">asahi demo</code> fills a gateway of your own with a month of invented traffic.
            </p>
          </div>
          <Picture />
        </section>

        <Section id="products" title="Three tiers, asked in this order" lead="Only what none of them answers is paid for, and the router keeps that cheap.">
          <div className="grid gap-6 md:grid-cols-3">
            {kTiers.map(({ name, title, text, points }, index) => (
              <article key={name} className={cx('rounded-lg border p-6', index === 1 ? 'border-accent bg-accent text-on-accent' : 'border-line bg-panel text-ink')}>
                <p className="text-sm font-semibold">{name}</p>
                <h3 className="mt-2 text-2xl leading-[1.4] font-semibold">{title}</h3>
                <p className={cx('mt-2', index !== 1 && 'text-ink-2')}>{text}</p>
                <ul className="mt-4 space-y-2 text-sm">
                  {points.map((point) => (
                    <li key={point} className="flex gap-2">
                      <Check aria-hidden className="mt-0.5 size-4 shrink-0" />
                      {point}
                    </li>
                  ))}
                </ul>
              </article>
            ))}
          </div>
        </Section>

        <Section id="results" title="What was measured" lead="On one virtual machine of two cores; docs/benchmarks.md says how, and which goals are missed.">
          <dl className="grid gap-6 sm:grid-cols-2 lg:grid-cols-4">
            {kResults.map(({ figure, text }) => (
              <div key={figure} className="flex flex-col-reverse justify-end rounded-lg border border-line bg-panel p-6">
                <dt className="mt-2 text-sm text-ink-2">{text}</dt>
                <dd className="text-[36px] leading-[1.3] font-bold tracking-tight text-accent-text tabular-nums">{figure}</dd>
              </div>
            ))}
          </dl>
        </Section>

        <Section id="savings" title="What would you save?">
          <Calculator />
        </Section>

        <Section id="customers" title="Who it is for">
          <dl className="grid gap-6 md:grid-cols-3">
            {kReaders.map(([who, what]) => (
              <div key={who} className="rounded-lg border border-line bg-panel p-6">
                <dt className="font-semibold text-ink">{who}</dt>
                <dd className="mt-2 text-ink-2">{what}</dd>
              </div>
            ))}
          </dl>
        </Section>

        <Section id="pricing" title="Pricing">
          <div className="max-w-xl rounded-lg border border-line bg-panel p-6">
            <p className="text-2xl font-semibold text-ink">Free</p>
            <p className="mt-2 text-ink-2">Apache-2.0. It runs on your machines, and you pay your model vendors directly, as before, only less. There is no other bill.</p>
          </div>
        </Section>

        <section aria-label="Start" className="bg-accent">
          <div className="mx-auto flex max-w-[1184px] flex-wrap items-center justify-between gap-6 px-6 py-12 text-on-accent">
            <p className="text-[28px] leading-[1.4] font-bold tracking-tight">One base URL away.</p>
            <Link to="/signup" className="rounded-lg bg-[#1a1a1a] px-8 py-4 font-medium text-white transition-colors duration-200 hover:bg-black focus-visible:outline-on-accent">
              Start Building
            </Link>
          </div>
        </section>
      </main>
      <footer className="bg-[#1a1a1a] text-white">
        <div className="mx-auto grid max-w-[1184px] gap-8 px-6 py-12 text-sm sm:grid-cols-2 lg:grid-cols-4">
          <div>
            <p className="flex items-center gap-2.5 text-lg font-semibold">
              <img src="./favicon.svg" alt="" width={28} height={28} />
              Asahi
            </p>
            <p className="mt-3 text-white/75">One server between your applications and the AI world.</p>
          </div>
          <div id="resources" tabIndex={-1} className="outline-none">
            <h2 className="font-semibold">Resources</h2>
            <ul className="mt-3 space-y-2">
              <li>
                <a className={footLink} href={`${apiBase()}/docs`}>
                  API reference
                </a>
              </li>
              <li>
                <a className={footLink} href={`${apiBase()}/openapi.json`}>
                  openapi.json
                </a>
              </li>
            </ul>
          </div>
          <div>
            <h2 className="font-semibold">This gateway</h2>
            <ul className="mt-3 space-y-2">
              <li>
                <a className={footLink} href={`${apiBase()}/health`}>
                  <Dot tone="ok" className="mr-2" />
                  Health
                </a>
              </li>
              <li>
                <Link className={footLink} to="/login">
                  Login
                </Link>
              </li>
              <li>
                <Link className={footLink} to="/signup">
                  Sign Up
                </Link>
              </li>
            </ul>
          </div>
          <div id="contact" tabIndex={-1} className="outline-none">
            <h2 className="font-semibold">Contact</h2>
            <p className="mt-3 text-white/75">Whoever runs this gateway gives accounts and keys: ask the people who sent you this address.</p>
          </div>
        </div>
      </footer>
    </div>
  );
}
