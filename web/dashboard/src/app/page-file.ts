/**
 * The programs of the pages, each a file of its own. They are fetched when a page is opened, or before that once the
 * browser has nothing to do: then a page opens at once, and also while the gateway is away.
 */
import { lazyRouteComponent, type AnyRouter } from '@tanstack/react-router';

import { preloadCharts } from '../charts/charts';

/** The file of a page could not be had because nobody answers. */
export class PageAway extends Error {
  constructor(cause: unknown) {
    super('The program of this page was not loaded yet, and the gateway that has it does not answer.', { cause });
    this.name = 'PageAway';
  }
}

async function answers(): Promise<boolean> {
  try {
    return (await fetch(new URL('./', window.location.href.split('#')[0]), { method: 'HEAD', cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

/**
 * A page's component. A file that is gone although the gateway answers is that of an older version: the router then loads
 * the dashboard anew. While nobody answers that would leave nothing on the screen.
 */
export const lazyPage: typeof lazyRouteComponent = (importer, name) =>
  lazyRouteComponent(
    () =>
      importer().catch(async (error: unknown) => {
        throw (await answers()) ? error : new PageAway(error);
      }),
    name,
  );

const kQuietMs = 1_500;
/** Set in the browser's timeline when the rest begins to be loaded, and when it is there. */
export const kMarks = { begin: 'asahi:preload', end: 'asahi:preloaded' } as const;

// Safari has no such call.
const whenIdle: (run: () => void) => void = window.requestIdleCallback ? (run) => void window.requestIdleCallback(run, { timeout: 5_000 }) : (run) => void setTimeout(run, 200);

let begun = false;

/** Loads `first`, every page's file and the charts', one after the other, beginning some time after now. Once. */
export function preloadPages(router: AnyRouter, first: readonly (() => Promise<unknown>)[]): void {
  if (begun) return;
  begun = true;
  const pages = Object.values(router.routesById as Record<string, { options: { component?: { preload?: () => Promise<unknown> } } }>).map(({ options }) => () => options.component?.preload?.());
  const left = [...first, ...pages, ...preloadCharts];
  const next = () => {
    const load = left.shift();
    if (!load) return void performance.mark(kMarks.end);
    // What cannot be had now is asked for again by whoever opens it.
    void Promise.resolve(load()).then(() => whenIdle(next), () => whenIdle(next));
  };
  setTimeout(() => {
    performance.mark(kMarks.begin);
    whenIdle(next);
  }, kQuietMs);
}
