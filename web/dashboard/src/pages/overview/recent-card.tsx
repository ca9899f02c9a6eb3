import { Badge, Button, EmptyState, SkeletonRows, Table, Td, Th } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Inbox } from 'lucide-react';

import { recentQuery } from '../../api/analytics';
import { CacheMark } from '../../app/cache-mark';
import { Widget } from '../../app/widget';
import { dateTime, dollars, latencyOf } from '../../lib/format';

const kShown = 10;

export function RecentCard() {
  const recent = useQuery(recentQuery(kShown));
  return (
    <Widget
      className="mt-4"
      title="Recent inferences"
      query={recent}
      failure="The last requests could not be loaded"
      height={420}
      skeleton={<SkeletonRows rows={kShown} />}
      actions={
        <Link to="/requests" className="text-sm font-medium text-accent-text underline-offset-4 hover:underline">
          All requests
        </Link>
      }
      empty={(events) =>
        events.length > 0 ? undefined : (
          <EmptyState
            icon={Inbox}
            title="No request yet"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            Requests appear here a second after they were answered.
          </EmptyState>
        )
      }
    >
      {(events) => (
        <Table label="Recent inferences">
          <thead>
            <tr>
              <Th>Time</Th>
              <Th>Model</Th>
              <Th>Task</Th>
              <Th>Cache</Th>
              <Th numeric>Cost</Th>
              <Th numeric>Latency</Th>
              <Th numeric>Quality</Th>
            </tr>
          </thead>
          <tbody>
            {events.map((event) => (
              <tr key={event.event_id} className="hover:bg-sunken/60">
                <Td className="whitespace-nowrap tabular-nums">
                  <Link to="/requests" search={{ id: event.request_id }} className="text-ink-2 underline-offset-4 hover:underline" title={event.request_id}>
                    {dateTime(event.timestamp)}
                  </Link>
                </Td>
                <Td className="font-medium whitespace-nowrap">{event.model_used || '–'}</Td>
                <Td className="whitespace-nowrap text-ink-2">{event.task_type ?? '–'}</Td>
                <Td>{event.error ? <Badge tone="bad">{event.error}</Badge> : <CacheMark tier={event.cache_tier} />}</Td>
                <Td numeric>{dollars(event.cost)}</Td>
                <Td numeric>{latencyOf(event.latency_ms)}</Td>
                <Td numeric>{event.quality_score ? event.quality_score.toFixed(1) : '–'}</Td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </Widget>
  );
}
