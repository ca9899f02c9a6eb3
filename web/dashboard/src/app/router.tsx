/** The pages. Everything stands behind '#', so that no page ever hides a path of the API. */
import { EmptyState } from '@asahi/ui';
import { createHashHistory, createRootRoute, createRoute, createRouter, Link, redirect } from '@tanstack/react-router';
import { Compass } from 'lucide-react';

import { OverviewPage } from '../pages/overview/overview-page';
import { CrashPage } from './crash-page';
import { lazyPage } from './page-file';
import { PageHeader } from './page-header';
import { Shell } from './shell';

function NotFoundPage() {
  return (
    <Shell>
      <PageHeader title="Page not found" purpose="The address names no page of this dashboard." />
      <EmptyState
        icon={Compass}
        title="Nothing here"
        action={
          <Link to="/" className="text-sm font-medium text-accent-text underline underline-offset-4">
            Back to the dashboard
          </Link>
        }
      />
    </Shell>
  );
}

const root = createRootRoute({ notFoundComponent: NotFoundPage });
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell });

/** Pages of those who run the gateway; each is loaded when it is opened. */
const runPages = [
  createRoute({ getParentRoute: () => shell, path: '/governance/audit', component: lazyPage(() => import('../pages/governance/audit/audit-page'), 'AuditPage') }),
  createRoute({ getParentRoute: () => shell, path: '/governance/keys', component: lazyPage(() => import('../pages/governance/keys/keys-page'), 'KeysPage') }),
  createRoute({ getParentRoute: () => shell, path: '/governance/policies', component: lazyPage(() => import('../pages/governance/policies/policies-page'), 'PoliciesPage') }),
  createRoute({ getParentRoute: () => shell, path: '/alerts', component: lazyPage(() => import('../pages/alerts/alerts-page'), 'AlertsPage') }),
  createRoute({
    getParentRoute: () => shell,
    path: '/settings',
    component: lazyPage(() => import('../pages/settings/settings-page'), 'SettingsPage'),
    validateSearch: ({ tab }: Record<string, unknown>): { tab?: string } => (typeof tab === 'string' ? { tab } : {}),
  }),
  createRoute({ getParentRoute: () => shell, path: '/start', component: lazyPage(() => import('../pages/start/start-page'), 'StartPage') }),
] as const;

/** Each page reads of its address what it knows; lib/range.ts and lib/request-search.ts say what that is. */
const validateSearch = (search: Record<string, unknown>): Record<string, unknown> => search;

/** Pages that show what happens; they too come when they are opened, so that the first one need not wait for them. */
const seePages = [
  createRoute({ getParentRoute: () => shell, path: '/inference', component: lazyPage(() => import('../pages/playground/playground-page'), 'PlaygroundPage') }),
  createRoute({ getParentRoute: () => shell, path: '/cache', component: lazyPage(() => import('../pages/cache/cache-page'), 'CachePage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/analytics', component: lazyPage(() => import('../pages/analytics/analytics-page'), 'AnalyticsPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/analytics/cost', component: lazyPage(() => import('../pages/analytics/cost-page'), 'CostPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/analytics/trends', component: lazyPage(() => import('../pages/analytics/trends-page'), 'TrendsPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/analytics/forecast', component: lazyPage(() => import('../pages/analytics/forecast-page'), 'ForecastPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/requests', component: lazyPage(() => import('../pages/requests/requests-page'), 'RequestsPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/live', component: lazyPage(() => import('../pages/live/live-page'), 'LivePage') }),
  createRoute({ getParentRoute: () => shell, path: '/models', component: lazyPage(() => import('../pages/models/models-page'), 'ModelsPage') }),
] as const;

/** Pages of the memory. */
const memoryPages = [
  createRoute({ getParentRoute: () => shell, path: '/memory/search', component: lazyPage(() => import('../pages/memory/search/search-page'), 'MemorySearchPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/memory/systems', component: lazyPage(() => import('../pages/memory/systems/systems-page'), 'SystemsPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/memory/graph', component: lazyPage(() => import('../pages/memory/graph/graph-page'), 'GraphPage'), validateSearch }),
  createRoute({ getParentRoute: () => shell, path: '/memory/tiers', component: lazyPage(() => import('../pages/memory/tiers/tiers-page'), 'TiersPage') }),
  createRoute({ getParentRoute: () => shell, path: '/memory/uploads', component: lazyPage(() => import('../pages/memory/uploads/uploads-page'), 'UploadsPage'), validateSearch }),
] as const;

/** Addresses of before, which may be bookmarked, and one that people try. */
const kMoved = [
  ['/dashboard', '/'],
  ['/playground', '/inference'],
  ['/access', '/governance/keys'],
  ['/audit', '/governance/audit'],
  ['/policy', '/governance/policies'],
  ['/memory', '/memory/search'],
] as const;

const routeTree = root.addChildren([
  createRoute({
    getParentRoute: () => root,
    path: '/login',
    component: lazyPage(() => import('../pages/login/login-page'), 'LoginPage'),
    validateSearch: ({ from }: Record<string, unknown>): { from?: string } => (typeof from === 'string' ? { from } : {}),
  }),
  createRoute({ getParentRoute: () => root, path: '/welcome', component: lazyPage(() => import('../pages/welcome/welcome-page'), 'WelcomePage') }),
  createRoute({ getParentRoute: () => root, path: '/signup', component: lazyPage(() => import('../pages/login/signup-page'), 'SignupPage') }),
  shell.addChildren([
    createRoute({ getParentRoute: () => shell, path: '/', component: OverviewPage, validateSearch }),
    ...seePages,
    ...memoryPages,
    ...runPages,
    ...kMoved.map(([path, to]) => createRoute({ getParentRoute: () => shell, path, beforeLoad: () => redirect({ to, throw: true }) })),
  ]),
]);

export const router = createRouter({
  routeTree,
  history: createHashHistory(),
  scrollRestoration: true,
  defaultErrorComponent: CrashPage,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
