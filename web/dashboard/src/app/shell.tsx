import { Badge, Button, ChoiceMenu, cx, dialogFrames, Drawer, later, menuLists, SkeletonRows, useLater, type Tone } from '@asahi/ui';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Outlet, useLocation, useNavigate, useRouter } from '@tanstack/react-router';
import {
  BookOpen,
  ExternalLink,
  Keyboard,
  KeyRound,
  LockOpen,
  LogOut,
  Menu,
  Monitor,
  Moon,
  RefreshCw,
  Search,
  Sun,
} from 'lucide-react';
import { useEffect, useMemo, useState, type ReactNode } from 'react';

import { apiBase, useConnection } from '../api/connection';
import { healthQuery, meQuery } from '../api/queries';
import { forgetCaller, isOpen, isPublic, lastCaller, may, noteCaller, useCaller, type Caller } from './access';
import { Account, useLogOut } from './account';
import { OutageBanner } from './outage';
import { preloadPages } from './page-file';
import { allPages, isGroup, kPages, type Page } from './pages';
import type { Command } from './palette';
import { Kbd, useShortcuts } from './shortcuts';
import { setTheme, useTheme } from './theme';

/** With what they are drawn with, so that one wait is enough. */
export const overlayParts = later(async () => {
  const [parts] = await Promise.all([import('./overlays'), dialogFrames.load()]);
  return parts;
});

const kThemes = [
  { value: 'system', label: 'System', icon: Monitor },
  { value: 'light', label: 'Light', icon: Sun },
  { value: 'dark', label: 'Dark', icon: Moon },
] as const;

const item =
  'flex items-center gap-3 rounded-lg text-sm font-medium transition-colors duration-200';
const roomy = 'px-3 py-2';
const quiet = 'text-ink-2 hover:bg-sunken hover:text-ink';

/** `narrow`: only the mark where the name would not fit. */
function Brand({ narrow = false }: { narrow?: boolean }) {
  return (
    <span className="flex items-center gap-2.5">
      <img src="./favicon.svg" alt="" width={28} height={28} className="size-7" />
      <span className={cx('text-lg font-semibold tracking-tight text-ink', narrow && 'max-[389px]:sr-only')}>Asahi</span>
    </span>
  );
}

/** Those that there are and that the caller may see. */
function useShown(): (page: Page) => boolean {
  const router = useRouter();
  const caller = useCaller();
  return (page) => page.to in router.routesByPath && (!page.needs || may(caller, page.needs));
}

interface PageLinkProps {
  page: Page;
  active: boolean;
  nested?: boolean;
  onNavigate?: (() => void) | undefined;
}

/** A plain link: two dozen of the router's own, each of which works its address out, would hold up the first picture. */
function PageLink({ page: { to, label, icon: Icon }, active, nested = false, onNavigate }: PageLinkProps) {
  const navigate = useNavigate();
  return (
    <a
      href={`#${to}`}
      aria-current={active ? 'page' : undefined}
      onClick={(event) => {
        // With a key held down the browser opens it elsewhere.
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        onNavigate?.();
        void navigate({ to });
      }}
      className={cx(item, nested ? 'py-1.5 pr-3 pl-10' : roomy, active ? 'bg-accent-soft text-accent-text' : quiet)}
    >
      {!nested && <Icon aria-hidden className="size-4 shrink-0" />}
      {label}
    </a>
  );
}

function Navigation({ onNavigate, onLogOut }: { onNavigate?: () => void; onLogOut?: (() => void) | undefined }) {
  useConnection();
  const { data } = useQuery(healthQuery);
  const caller = useCaller();
  const shown = useShown();
  const { pathname } = useLocation();
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto px-3 pb-4">
      <nav aria-label="Pages">
        <ul className="space-y-0.5">
          {kPages.map((entry) => {
            if (!isGroup(entry)) {
              return (
                shown(entry) && (
                  <li key={entry.to}>
                    <PageLink page={entry} active={entry.to === pathname} onNavigate={onNavigate} />
                  </li>
                )
              );
            }
            const pages = entry.pages.filter(shown);
            if (pages.length === 0) return null;
            // The page before it, of the same name, heads the pages of analytics.
            const headed = allPages.some(({ label }) => label === entry.label);
            return (
              <li key={`group ${entry.label}`}>
                {!headed && (
                  <p aria-hidden className="flex items-center gap-3 px-3 pt-2 pb-1 text-sm font-medium text-ink-2">
                    {entry.icon && <entry.icon className="size-4 shrink-0" />}
                    {entry.label}
                  </p>
                )}
                <ul aria-label={entry.label} className="space-y-0.5">
                  {pages.map((page) => (
                    <li key={page.to}>
                      <PageLink page={page} active={page.to === pathname} nested onNavigate={onNavigate} />
                    </li>
                  ))}
                </ul>
              </li>
            );
          })}
          {onLogOut && (
            <li>
              <button type="button" onClick={onLogOut} className={cx(item, roomy, quiet, 'w-full')}>
                <LogOut aria-hidden className="size-4 shrink-0" />
                Log out
              </button>
            </li>
          )}
        </ul>
      </nav>
      <div className="mt-4 space-y-0.5 border-t border-line pt-4">
        <a href={`${apiBase()}/docs`} target="_blank" rel="noreferrer" className={cx(item, roomy, quiet)}>
          <BookOpen aria-hidden className="size-4 shrink-0" />
          API reference
          <ExternalLink aria-hidden className="ml-auto size-3.5 text-ink-3" />
          <span className="sr-only">(new tab)</span>
        </a>
      </div>
      <div className="mt-auto space-y-2 px-3 pt-6">
        {isOpen(caller) && <OpenBadge />}
        <p className="min-h-5 text-xs text-ink-3">{data && `Version ${data.version}`}</p>
      </div>
    </div>
  );
}

/** Said where anyone who reaches the gateway may do everything. */
function OpenBadge() {
  return (
    <a href={`${apiBase()}/docs`} target="_blank" rel="noreferrer" className="inline-flex rounded-full" title="Anyone who reaches this gateway may use and change it. The reference tells how callers prove who they are.">
      <Badge tone="warn" className="gap-1.5">
        <LockOpen aria-hidden className="size-3.5" />
        open: authentication is off
        <span className="sr-only">(API reference, new tab)</span>
      </Badge>
    </a>
  );
}

const tones: Record<string, Tone> = { healthy: 'ok', degraded: 'warn', unhealthy: 'bad' };

function Status() {
  const { data, isError } = useQuery(healthQuery);
  const word = isError ? 'Unreachable' : data ? data.status[0]?.toUpperCase() + data.status.slice(1) : 'Connecting';
  return (
    <span className="flex items-center gap-2" role="status">
      {data?.mock && !isError && (
        <Badge tone="info" title="Answers come from the built-in vendor; no vendor is called and nothing is paid.">
          Mock
        </Badge>
      )}
      <Badge dot tone={isError ? 'bad' : ((data && tones[data.status]) ?? 'neutral')}>
        {word}
      </Badge>
    </span>
  );
}

/** What the palette offers besides pages. */
function useCommands(pages: readonly Page[], { help, connect, leave }: { help: () => void; connect: () => void; leave: (() => void) | undefined }): Command[] {
  const navigate = useNavigate();
  const queries = useQueryClient();
  return [
    ...pages.map(({ to, label, icon, words, key }) => ({
      id: `page${to.replaceAll('/', '-')}`,
      label,
      group: 'Go to',
      icon,
      ...(words ? { words } : {}),
      keys: ['g', key],
      run: () => void navigate({ to }),
    })),
    ...kThemes.map(({ value, label, icon }) => ({ id: `theme-${value}`, label: `${label} theme`, group: 'Use', icon, words: 'dark light colours', run: () => setTheme(value) })),
    { id: 'refresh', label: 'every figure again', group: 'Load', icon: RefreshCw, words: 'refresh reload', run: () => void queries.invalidateQueries() },
    { id: 'connection', label: 'API key and address', group: 'Set', icon: KeyRound, words: 'connection', run: connect },
    { id: 'docs', label: 'the API reference', group: 'Open', icon: BookOpen, words: 'docs openapi', run: () => window.open(`${apiBase()}/docs`, '_blank', 'noreferrer') },
    { id: 'help', label: 'keyboard shortcuts', group: 'Show', icon: Keyboard, words: 'help', keys: ['?'], run: help },
    ...(leave ? [{ id: 'log-out', label: 'Log out', group: '', icon: LogOut, words: 'sign leave', run: leave }] : []),
  ];
}

/** The frame of the pages. Whoever has to log in is sent to do so, and comes back to the same page. */
export function Shell({ children }: { children?: ReactNode }) {
  const me = useQuery(meQuery);
  const { pathname, href } = useLocation();
  const [open, setOpen] = useState<'menu' | 'connection' | 'palette' | 'help'>();
  const theme = useTheme();
  const { key } = useConnection();
  const themeIcon = kThemes.find(({ value }) => value === theme)?.icon ?? Monitor;
  const navigate = useNavigate();
  const router = useRouter();
  const shown = useShown();
  const pages = allPages.filter(shown);
  if (me.data) noteCaller(me.data);
  const stranger = me.data === null;
  const ended = stranger && lastCaller() !== undefined;
  const goAway = useMemo(
    () => () => void (pathname === '/' ? navigate({ to: '/welcome', replace: true }) : navigate({ to: '/login', search: { from: href }, replace: true })),
    [pathname, href, navigate],
  );
  useEffect(() => {
    // On the way there this frame still stands for a moment.
    if (stranger && !ended && !isPublic(pathname)) goAway();
  }, [stranger, ended, goAway, pathname]);
  const inside = Boolean(me.data);
  useEffect(() => {
    if (inside) preloadPages(router, [overlayParts.load, menuLists.load]);
  }, [inside, router]);
  const leaveForLogin = () => {
    forgetCaller();
    goAway();
  };
  const overlays = useLater(overlayParts, ended || (open !== undefined && open !== 'menu'), () => (ended ? leaveForLogin() : setOpen(undefined)));
  const caller: Caller | undefined = me.data ?? lastCaller();
  const account = caller && !isOpen(caller) ? caller : undefined;
  const { leave } = useLogOut(account);
  const onLogOut = account && leave;
  const toggle = (what: NonNullable<typeof open>) => (show: boolean) => setOpen(show ? what : undefined);
  const commands = useCommands(pages, { help: () => setOpen('help'), connect: () => setOpen('connection'), leave: onLogOut });
  useShortcuts(pages, { onPalette: () => setOpen('palette'), onHelp: () => setOpen('help'), onGo: (to) => void navigate({ to }) });
  if (stranger && !ended) return null;
  return (
    <div className="min-h-dvh md:pl-64">
      <a
        href="#main"
        onClick={(event) => {
          // The address after '#' is the page, so the jump is made by hand.
          event.preventDefault();
          document.getElementById('main')?.focus();
        }}
        className="sr-only rounded-lg bg-accent px-4 py-2 text-sm font-medium text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:px-4 focus:py-2"
      >
        Skip to content
      </a>
      <aside aria-label="Menu" className="fixed inset-y-0 left-0 z-30 hidden w-64 flex-col border-r border-line bg-panel md:flex">
        <div className="flex h-16 shrink-0 items-center px-6">
          <Brand />
        </div>
        <Navigation onLogOut={onLogOut} />
      </aside>
      <Drawer open={open === 'menu'} onOpenChange={toggle('menu')} title="Menu">
        <div className="flex h-16 shrink-0 items-center px-6">
          <Brand />
        </div>
        <Navigation onNavigate={() => setOpen(undefined)} onLogOut={onLogOut} />
      </Drawer>
      <div className="sticky top-0 z-20 border-b border-line bg-page/90 backdrop-blur">
        <div className="flex h-14 items-center gap-2 px-4 sm:px-6">
          <Button look="ghost" size="icon" aria-label="Open menu" className="-ml-2 md:hidden" onClick={() => setOpen('menu')}>
            <Menu aria-hidden className="size-5" />
          </Button>
          <span className="md:hidden">
            <Brand narrow />
          </span>
          <button
            type="button"
            onClick={() => setOpen('palette')}
            className="flex h-9 items-center gap-2 rounded-lg text-sm text-ink-3 transition-colors duration-200 hover:text-ink max-lg:size-9 max-lg:justify-center max-lg:hover:bg-sunken lg:w-56 lg:border lg:border-line lg:bg-panel lg:px-3 lg:hover:border-line-strong max-md:hidden"
          >
            <Search aria-hidden className="size-4 shrink-0" />
            <span className="flex-1 text-left max-lg:sr-only">
              Find<span className="sr-only"> a page or command</span>
            </span>
            <span aria-hidden className="max-lg:hidden">
              <Kbd>Ctrl K</Kbd>
            </span>
          </button>
          <div className="ml-auto flex items-center gap-1 sm:gap-2">
            <Status />
            {account ? (
              <Account caller={account} onConnection={() => setOpen('connection')} onLogOut={leave} />
            ) : (
              <Button
                look="ghost"
                className={cx('max-sm:size-9 max-sm:p-0', key && 'text-accent-text')}
                onClick={() => setOpen('connection')}
                aria-label={key ? 'Connection: an API key is set' : 'Connection: no API key'}
              >
                <KeyRound aria-hidden className="size-4" />
                <span className="max-sm:sr-only">{key ? 'Key set' : 'Connection'}</span>
              </Button>
            )}
            <ChoiceMenu label="Theme" icon={themeIcon} value={theme} options={kThemes} onChange={setTheme} />
          </div>
        </div>
        <OutageBanner />
      </div>
      <main id="main" tabIndex={-1} className="mx-auto max-w-[1184px] px-4 py-6 outline-none sm:px-6">
        {me.isPending ? <SkeletonRows /> : (children ?? <Outlet />)}
      </main>
      {overlays && (
        <>
          <overlays.ConnectionDialog open={open === 'connection'} onOpenChange={toggle('connection')} />
          <overlays.Palette open={open === 'palette'} onOpenChange={toggle('palette')} commands={commands} />
          <overlays.ShortcutHelp open={open === 'help'} onOpenChange={toggle('help')} pages={pages} />
          {lastCaller() && <overlays.SessionDialog from={href} onLeave={leaveForLogin} />}
        </>
      )}
    </div>
  );
}
