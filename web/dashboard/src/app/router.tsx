/** The pages. Everything stands behind '#', so that no page ever hides a path of the API. */
import { EmptyState } from '@asahi/ui';
import { createHashHistory, createRootRoute, createRoute, createRouter, lazyRouteComponent, Link, redirect } from '@tanstack/react-router';
import { Compass } from 'lucide-react';

import { CachePage } from '../pages/cache/cache-page';
import { ModelsPage } from '../pages/models/models-page';
import { OverviewPage } from '../pages/overview/overview-page';
import { PlaygroundPage } from '../pages/playground/playground-page';
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
  createRoute({ getParentRoute: () => shell, path: '/governance/audit', component: lazyRouteComponent(() => import('../pages/governance/audit/audit-page'), 'AuditPage') }),
  createRoute({ getParentRoute: () => shell, path: '/governance/keys', component: lazyRouteComponent(() => import('../pages/governance/keys/keys-page'), 'KeysPage') }),
  createRoute({ getParentRoute: () => shell, path: '/governance/policies', component: lazyRouteComponent(() => import('../pages/governance/policies/policies-page'), 'PoliciesPage') }),
  createRoute({ getParentRoute: () => shell, path: '/alerts', component: lazyRouteComponent(() => import('../pages/alerts/alerts-page'), 'AlertsPage') }),
  createRoute({
    getParentRoute: () => shell,
    path: '/settings',
    component: lazyRouteComponent(() => import('../pages/settings/settings-page'), 'SettingsPage'),
    validateSearch: ({ tab }: Record<string, unknown>): { tab?: string } => (typeof tab === 'string' ? { tab } : {}),
  }),
  createRoute({ getParentRoute: () => shell, path: '/start', component: lazyRouteComponent(() => import('../pages/start/start-page'), 'StartPage') }),
] as const;

/** Addresses of before, which may be bookmarked. */
const kMoved = [
  ['/playground', '/inference'],
  ['/access', '/governance/keys'],
  ['/audit', '/governance/audit'],
  ['/policy', '/governance/policies'],
] as const;

const routeTree = root.addChildren([
  createRoute({
    getParentRoute: () => root,
    path: '/login',
    component: lazyRouteComponent(() => import('../pages/login/login-page'), 'LoginPage'),
    validateSearch: ({ from }: Record<string, unknown>): { from?: string } => (typeof from === 'string' ? { from } : {}),
  }),
  createRoute({ getParentRoute: () => root, path: '/welcome', component: lazyRouteComponent(() => import('../pages/welcome/welcome-page'), 'WelcomePage') }),
  createRoute({ getParentRoute: () => root, path: '/signup', component: lazyRouteComponent(() => import('../pages/login/signup-page'), 'SignupPage') }),
  shell.addChildren([
    createRoute({ getParentRoute: () => shell, path: '/', component: OverviewPage }),
    createRoute({ getParentRoute: () => shell, path: '/inference', component: PlaygroundPage }),
    createRoute({ getParentRoute: () => shell, path: '/models', component: ModelsPage }),
    createRoute({ getParentRoute: () => shell, path: '/cache', component: CachePage }),
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
