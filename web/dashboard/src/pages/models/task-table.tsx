import { SectionCard, Table, Td, Th } from '@asahi/ui';

import type { Schemas } from '../../api/client';
import { duration, milliseconds } from '../../lib/format';

/** What autopilot asks of a model per task. */
export function TaskTable({ defaults }: { defaults: Schemas['ModelList']['default_constraints'] }) {
  const rows = Object.entries(defaults).sort(([a], [b]) => a.localeCompare(b));
  if (rows.length === 0) return null;
  return (
    <SectionCard className="mt-4" title="Task defaults" note="What autopilot asks of a model, and how long its answers are kept.">
      <Table label="Task defaults">
        <thead>
          <tr>
            <Th>Task</Th>
            <Th numeric>Least quality</Th>
            <Th numeric>Most latency</Th>
            <Th numeric>Cached for</Th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([task, row]) => (
            <tr key={task}>
              <Td className="font-medium">{task}</Td>
              <Td numeric>{row.quality_threshold.toFixed(1)}</Td>
              <Td numeric>{milliseconds(row.latency_budget_ms)}</Td>
              <Td numeric>{duration(row.cache_ttl_hours * 3600)}</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </SectionCard>
  );
}
