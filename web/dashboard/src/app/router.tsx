/** The pages. Everything stands behind '#', so that no page ever hides a path of the API. */
import { EmptyState } from '@asahi/ui';
import { createHashHistory, createRootRoute, createRoute, createRouter, Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';

import { AccessPage } from '../pages/access/access-page';
import { AuditPage } from '../pages/audit/audit-page';
import { CachePage } from '../pages/cache/cache-page';
import { LoginPage } from '../pages/login/login-page';
import { ModelsPage } from '../pages/models/models-page';
import { OverviewPage } from '../pages/overview/overview-page';
import { PlaygroundPage } from '../pages/playground/playground-page';
import { PolicyPage } from '../pages/policy/policy-page';
import { StartPage } from '../pages/start/start-page';
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
    createRoute({ getParentRoute: () => shell, path: '/', component: OverviewPage }),
    createRoute({ getParentRoute: () => shell, path: '/playground', component: PlaygroundPage }),
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
