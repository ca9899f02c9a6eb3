import { Badge, Button, SectionCard, Skeleton } from '@asahi/ui';
import type { UseQueryResult } from '@tanstack/react-query';
import { RotateCw } from 'lucide-react';
import { useState, type ReactNode } from 'react';

import { ChartSlot } from '../charts/slot';
import { Failure } from './failure';

interface WidgetProps<T> {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  className?: string;
  query: UseQueryResult<T>;
  /** Said when nothing could be loaded. */
  failure: string;
  /** Height in px that the content will have, kept while it loads. */
  height?: number;
  skeleton?: ReactNode;
  /** What stands there when there is nothing to show. */
  empty?: (data: T) => ReactNode | undefined;
  children: (data: T) => ReactNode;
}

/** A card over one question to the API: it waits, fails, is empty and is asked again by itself, whatever the others do. */
export function Widget<T>({ title, note, actions, className, query, failure, height = 240, skeleton, empty, children }: WidgetProps<T>) {
  const { data, isError, error, isFetching, isPlaceholderData, refetch } = query;
  const [slot, setSlot] = useState<HTMLElement | null>(null);
  const again = () => void refetch();
  const old = isError && data !== undefined;
  return (
    <SectionCard
      title={title}
      note={note}
      {...(className ? { className } : {})}
      actions={
        <>
            {old && (
              <>
                <Badge tone="warn" dot title={error instanceof Error ? error.message : undefined}>
                  Not refreshed
                </Badge>
                <Button look="ghost" size="icon" className="size-8" aria-label={`Retry: ${title}`} title="Retry" busy={isFetching} onClick={again}>
                  {!isFetching && <RotateCw aria-hidden className="size-4" />}
                </Button>
              </>
            )}
          {actions}
          <span ref={setSlot} className="empty:hidden" />
        </>
      }
    >
      {data !== undefined ? (
        // What another range was answered stays, faint, until the new answer is there.
        <div aria-busy={isPlaceholderData || undefined} className={isPlaceholderData ? 'opacity-50 transition-opacity duration-200' : undefined}>
          <ChartSlot value={slot}>{empty?.(data) ?? children(data)}</ChartSlot>
        </div>
      ) : isError ? (
        <Failure title={failure} error={error} onRetry={again} retrying={isFetching} />
      ) : (
        <div role="status" aria-label="Loading" style={{ minHeight: height }}>
          {skeleton ?? <Skeleton style={{ height }} />}
        </div>
      )}
    </SectionCard>
  );
}
