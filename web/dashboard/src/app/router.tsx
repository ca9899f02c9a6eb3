/** The pages. Everything stands behind '#', so that no page ever hides a path of the API. */
import { EmptyState } from '@asahi/ui';
import { createHashHistory, createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';

import { LoginPage } from '../pages/login/login-page';
import { OverviewPage } from '../pages/overview/overview-page';
import { CrashPage } from './crash-page';
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
            Back to the overview
          </Link>
        }
      />
    </Shell>
  );
}

// Pages that come when they are opened: the first one must not wait for them.
const PlaygroundPage = lazyRouteComponent(() => import('../pages/playground/playground-page'), 'PlaygroundPage');
const ModelsPage = lazyRouteComponent(() => import('../pages/models/models-page'), 'ModelsPage');
const CachePage = lazyRouteComponent(() => import('../pages/cache/cache-page'), 'CachePage');
const AnalyticsPage = lazyRouteComponent(() => import('../pages/analytics/analytics-page'), 'AnalyticsPage');
const CostPage = lazyRouteComponent(() => import('../pages/analytics/cost-page'), 'CostPage');
const TrendsPage = lazyRouteComponent(() => import('../pages/analytics/trends-page'), 'TrendsPage');
const ForecastPage = lazyRouteComponent(() => import('../pages/analytics/forecast-page'), 'ForecastPage');
const RequestsPage = lazyRouteComponent(() => import('../pages/requests/requests-page'), 'RequestsPage');
const AccessPage = lazyRouteComponent(() => import('../pages/access/access-page'), 'AccessPage');
const AuditPage = lazyRouteComponent(() => import('../pages/audit/audit-page'), 'AuditPage');
const PolicyPage = lazyRouteComponent(() => import('../pages/policy/policy-page'), 'PolicyPage');
const StartPage = lazyRouteComponent(() => import('../pages/start/start-page'), 'StartPage');
const LivePage = lazyRouteComponent(() => import('../pages/live/live-page'), 'LivePage');

/** Each page reads of its address what it knows; lib/range.ts and lib/request-search.ts say what that is. */
const validateSearch = (search: Record<string, unknown>): Record<string, unknown> => search;

const root = createRootRoute({ notFoundComponent: NotFoundPage });
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell });

const routeTree = root.addChildren([
  createRoute({
    getParentRoute: () => root,
    path: '/login',
    component: LoginPage,
    validateSearch: ({ from }: Record<string, unknown>): { from?: string } => (typeof from === 'string' ? { from } : {}),
  }),
  shell.addChildren([
    createRoute({ getParentRoute: () => shell, path: '/', component: OverviewPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/playground', component: PlaygroundPage }),
    createRoute({ getParentRoute: () => shell, path: '/analytics', component: AnalyticsPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/analytics/cost', component: CostPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/analytics/trends', component: TrendsPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/analytics/forecast', component: ForecastPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/requests', component: RequestsPage, validateSearch }),
    createRoute({ getParentRoute: () => shell, path: '/live', component: LivePage }),
    createRoute({ getParentRoute: () => shell, path: '/models', component: ModelsPage }),
    createRoute({ getParentRoute: () => shell, path: '/cache', component: CachePage }),
    createRoute({ getParentRoute: () => shell, path: '/access', component: AccessPage }),
    createRoute({ getParentRoute: () => shell, path: '/policy', component: PolicyPage }),
    createRoute({ getParentRoute: () => shell, path: '/audit', component: AuditPage }),
    createRoute({ getParentRoute: () => shell, path: '/start', component: StartPage }),
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
