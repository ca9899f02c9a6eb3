/** The pages. Everything stands behind '#', so that no page ever hides a path of the API. */
import { EmptyState } from '@asahi/ui';
import { createHashHistory, createRootRoute, createRoute, createRouter, Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';

import { CachePage } from '../pages/cache/cache-page';
import { ModelsPage } from '../pages/models/models-page';
import { OverviewPage } from '../pages/overview/overview-page';
import { PlaygroundPage } from '../pages/playground/playground-page';
import { StartPage } from '../pages/start/start-page';
import { CrashPage } from './crash-page';
import { PageHeader } from './page-header';
import { Shell } from './shell';

function NotFoundPage() {
  return (
    <>
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
    </>
  );
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundPage });

const routeTree = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: OverviewPage }),
  createRoute({ getParentRoute: () => root, path: '/playground', component: PlaygroundPage }),
  createRoute({ getParentRoute: () => root, path: '/models', component: ModelsPage }),
  createRoute({ getParentRoute: () => root, path: '/cache', component: CachePage }),
  createRoute({ getParentRoute: () => root, path: '/start', component: StartPage }),
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
