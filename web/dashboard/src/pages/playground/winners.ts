import type { Run } from './use-run';

export interface Winners {
  cheapest?: number;
  fastest?: number;
}

/** Places of the cheapest and the fastest of several answers; none where fewer than two came or several are alike. */
export function winnersOf(runs: readonly (Run | undefined)[]): Winners {
  const least = (of: (run: Run) => number | undefined): number | undefined => {
    const known = runs.flatMap((run, place) => {
      const value = run?.state === 'done' ? of(run) : undefined;
      return value === undefined ? [] : [{ place, value }];
    });
    if (known.length < 2) return undefined;
    const best = Math.min(...known.map(({ value }) => value));
    const first = known.filter(({ value }) => value === best);
    return first.length === 1 ? first[0]?.place : undefined;
  };
  const cheapest = least((run) => run.facts?.cost);
  const fastest = least((run) => run.totalMs);
  return { ...(cheapest === undefined ? {} : { cheapest }), ...(fastest === undefined ? {} : { fastest }) };
}
