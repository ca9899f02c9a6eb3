import './styles.css';

import { ToastProvider } from '@asahi/ui';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { onUnauthorized, onUnreachable } from './api/client';
import { healthQuery, meQuery, worthRetrying } from './api/queries';
import { router } from './app/router';
import { applyTheme } from './app/theme';

applyTheme();

const queries = new QueryClient({
  defaultOptions: { queries: { retry: worthRetrying, staleTime: 2_000, refetchOnWindowFocus: true } },
});

// A call that is refused may be a login that ended: asking who we are tells, and the frame goes to the login page.
onUnauthorized(() => void queries.invalidateQueries({ queryKey: meQuery.queryKey }, { cancelRefetch: false }));
// The frame then says that the gateway is away, at once rather than at the next look.
onUnreachable(() => {
  if (queries.getQueryState(healthQuery.queryKey)?.status === 'success')
    void queries.invalidateQueries({ queryKey: healthQuery.queryKey }, { cancelRefetch: false });
});

const kMostWaitMs = 250;

/** Drawn once with the page in it, rather than first without: who is there is known in a moment, or it takes too long. */
async function known(): Promise<void> {
  void queries.prefetchQuery(healthQuery);
  await Promise.race([queries.prefetchQuery(meQuery), new Promise((resolve) => setTimeout(resolve, kMostWaitMs))]);
}

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element #root');
void known().then(() =>
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <ToastProvider>
          <RouterProvider router={router} />
        </ToastProvider>
      </QueryClientProvider>
    </StrictMode>,
  ),
);
