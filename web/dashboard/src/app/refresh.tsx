import { Badge, Button } from '@asahi/ui';
import { useIsFetching, useQueryClient } from '@tanstack/react-query';
import { RefreshCw } from 'lucide-react';

import { kRefreshMs } from '../api/queries';
import { clockTime, duration } from '../lib/format';
import { useNow } from './use-now';

interface RefreshProps {
  /** First parts of the query keys that the page shows. */
  keys: readonly string[];
  /** When the page's main figures came, ms since 1970; 0: not yet. */
  updatedAt: number;
}

/** When the figures came, a warning when they are old, and a button to get them now. */
export function Refresh({ keys, updatedAt }: RefreshProps) {
  const queries = useQueryClient();
  const now = useNow(5_000);
  const busy = useIsFetching({ predicate: (query) => keys.includes(String(query.queryKey[0])) }) > 0;
  const age = now - updatedAt;
  return (
    <>
      {updatedAt > 0 &&
        (age > 3 * kRefreshMs ? (
          <Badge tone="warn" dot>
            Stale: {duration(age / 1000)} old
          </Badge>
        ) : (
          <span className="text-xs text-ink-3 tabular-nums">Updated {clockTime(updatedAt)}</span>
        ))}
      <Button
        size="icon"
        aria-label="Refresh"
        title="Refresh"
        onClick={() => void Promise.all(keys.map((key) => queries.invalidateQueries({ queryKey: [key] })))}
      >
        <RefreshCw aria-hidden className={busy ? 'size-4 animate-spin' : 'size-4'} />
      </Button>
    </>
  );
}
