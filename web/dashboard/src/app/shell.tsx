import { Badge, Button, ChoiceMenu, cx, Drawer, SkeletonRows, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import {
  Activity,
  BookOpen,
  Boxes,
  ChartSpline,
  Database,
  ExternalLink,
  KeyRound,
  KeySquare,
  LayoutDashboard,
  ListFilter,
  LockOpen,
  Menu,
  Monitor,
  Moon,
  Rocket,
  ScrollText,
  ShieldCheck,
  Sun,
  TerminalSquare,
  type LucideIcon,
} from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';

import { apiBase, useConnection } from '../api/connection';
import { healthQuery, meQuery } from '../api/queries';
import { isOpen, may, useCaller } from './access';
import { Account } from './account';
import { ConnectionDialog } from './connection-dialog';
import { setTheme, useTheme } from './theme';

interface Page {
  to: string;
  label: string;
  icon: LucideIcon;
  /** Hidden from callers without this permission. */
  needs?: string;
}

const kPages = [
  { to: '/', label: 'Overview', icon: LayoutDashboard },
  { to: '/playground', label: 'Playground', icon: TerminalSquare },
  { to: '/cache', label: 'Cache', icon: Database, needs: 'manage_policy' },
  { to: '/analytics', label: 'Analytics', icon: ChartSpline, needs: 'view_metrics' },
  { to: '/requests', label: 'Requests', icon: ListFilter, needs: 'view_metrics' },
  { to: '/live', label: 'Live', icon: Activity, needs: 'view_metrics' },
  { to: '/models', label: 'Models', icon: Boxes },
  { to: '/access', label: 'Access', icon: KeySquare, needs: 'manage_policy' },
  { to: '/policy', label: 'Policy', icon: ShieldCheck, needs: 'manage_policy' },
  { to: '/audit', label: 'Audit', icon: ScrollText, needs: 'view_audit_log' },
  { to: '/start', label: 'Getting started', icon: Rocket },
] as const satisfies readonly Page[];

const kThemes = [
  { value: 'system', label: 'System', icon: Monitor },
  { value: 'light', label: 'Light', icon: Sun },
  { value: 'dark', label: 'Dark', icon: Moon },
] as const;

const item =
  'flex items-center gap-3 rounded-lg px-3 py-2 text-sm font-medium transition-colors duration-200';
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

function Navigation({ onNavigate }: { onNavigate?: () => void }) {
  useConnection();
  const { data } = useQuery(healthQuery);
  const caller = useCaller();
  const pages = kPages.filter((page) => !('needs' in page) || may(caller, page.needs));
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto px-3 pb-4">
      <nav aria-label="Pages" className="space-y-0.5">
        {pages.map(({ to, label, icon: Icon }) => (
          <Link
            key={to}
            to={to}
            onClick={onNavigate}
            className={item}
            activeOptions={{ exact: true }}
            activeProps={{ className: 'bg-accent-soft text-accent-text' }}
            inactiveProps={{ className: quiet }}
          >
            <Icon aria-hidden className="size-4 shrink-0" />
            {label}
          </Link>
        ))}
      </nav>
      <div className="mt-6 space-y-0.5">
        <a href={`${apiBase()}/docs`} target="_blank" rel="noreferrer" className={cx(item, quiet)}>
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

/** The frame of the pages. Whoever has to log in is sent to do so, and comes back to the same page. */
export function Shell({ children }: { children?: ReactNode }) {
  const me = useQuery(meQuery);
  const { pathname } = useLocation();
  const [menu, setMenu] = useState(false);
  const [dialog, setDialog] = useState(false);
  const theme = useTheme();
  const { key } = useConnection();
  const themeIcon = kThemes.find(({ value }) => value === theme)?.icon ?? Monitor;
  const navigate = useNavigate();
  const stranger = me.data === null;
  useEffect(() => {
    if (stranger && pathname !== '/login') void navigate({ to: '/login', search: pathname === '/' ? {} : { from: pathname }, replace: true });
  }, [stranger, pathname, navigate]);
  if (stranger) return null;
  const account = me.data && !isOpen(me.data) ? me.data : undefined;
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
      <aside className="fixed inset-y-0 left-0 z-30 hidden w-64 flex-col border-r border-line bg-panel md:flex">
        <div className="flex h-16 shrink-0 items-center px-6">
          <Brand />
        </div>
        <Navigation />
      </aside>
      <Drawer open={menu} onOpenChange={setMenu} title="Menu">
        <div className="flex h-16 shrink-0 items-center px-6">
          <Brand />
        </div>
        <Navigation onNavigate={() => setMenu(false)} />
      </Drawer>
      <div className="sticky top-0 z-20 flex h-14 items-center gap-2 border-b border-line bg-page/90 px-4 backdrop-blur sm:px-6">
        <Button look="ghost" size="icon" aria-label="Open menu" className="-ml-2 md:hidden" onClick={() => setMenu(true)}>
          <Menu aria-hidden className="size-5" />
        </Button>
        <span className="md:hidden">
          <Brand narrow />
        </span>
        <div className="ml-auto flex items-center gap-1 sm:gap-2">
          <Status />
          {account ? (
            <Account caller={account} onConnection={() => setDialog(true)} />
          ) : (
            <Button
              look="ghost"
              className={cx('max-sm:size-9 max-sm:p-0', key && 'text-accent-text')}
              onClick={() => setDialog(true)}
              aria-label={key ? 'Connection: an API key is set' : 'Connection: no API key'}
            >
              <KeyRound aria-hidden className="size-4" />
              <span className="max-sm:sr-only">{key ? 'Key set' : 'Connection'}</span>
            </Button>
          )}
          <ChoiceMenu label="Theme" icon={themeIcon} value={theme} options={kThemes} onChange={setTheme} />
        </div>
      </div>
      <main id="main" tabIndex={-1} className="mx-auto max-w-[1184px] px-4 py-6 outline-none sm:px-6">
        {me.isPending ? <SkeletonRows /> : (children ?? <Outlet />)}
      </main>
      <ConnectionDialog open={dialog} onOpenChange={setDialog} />
    </div>
  );
}
