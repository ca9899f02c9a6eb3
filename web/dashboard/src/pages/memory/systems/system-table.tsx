import { Badge, SortTh, Table, Td, Th, type Sort } from '@asahi/ui';
import { useState } from 'react';

import type { System } from '../../../api/memory';
import { count, dateTime } from '../../../lib/format';

type Column = 'system_id' | 'hot' | 'warm' | 'cold' | 'uploads' | 'last_upload';

function valueOf(system: System, column: Column): number | string {
  if (column === 'system_id') return system.system_id;
  if (column === 'uploads') return system.uploads;
  if (column === 'last_upload') return system.last_upload ?? '';
  return system.records[column] ?? 0;
}

/** Whoever sent nothing for a week has stopped, or cannot. */
export const SystemState = ({ system }: { system: System }) =>
  system.silent ? (
    <Badge tone="warn" dot>
      silent
    </Badge>
  ) : (
    <Badge tone="ok" dot>
      active
    </Badge>
  );

/** On a phone the table scrolls in its frame; the name stays in sight. */
export function SystemTable({ systems, onOpen }: { systems: readonly System[]; onOpen: (system: string) => void }) {
  const [sort, setSort] = useState<Sort<Column>>({ key: 'system_id', down: false });
  const sorted = [...systems].sort((a, b) => {
    const [x, y] = [valueOf(a, sort.key), valueOf(b, sort.key)];
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
    return (sort.down ? -order : order) || a.system_id.localeCompare(b.system_id);
  });
  const head = (by: Column, text: string) => (
    <SortTh by={by} sort={sort} onSort={setSort} numeric={by !== 'system_id' && by !== 'last_upload'}>
      {text}
    </SortTh>
  );
  const records = (system: System, tier: string) => (system.records[tier] === undefined ? '0' : count(system.records[tier]));
  return (
    <Table label="Systems">
      <thead>
        <tr>
          {head('system_id', 'System')}
          <Th>State</Th>
          {head('hot', 'Hot')}
          {head('warm', 'Warm')}
          {head('cold', 'Cold')}
          {head('uploads', 'Uploads')}
          {head('last_upload', 'Last upload')}
          <Th numeric>Shard</Th>
        </tr>
      </thead>
      <tbody>
        {sorted.map((system) => (
          <tr key={system.system_id} className="hover:bg-sunken/60">
            <Td className="max-w-56 min-w-32">
              <button
                type="button"
                onClick={() => onOpen(system.system_id)}
                title={system.system_id}
                className="block max-w-full truncate rounded font-medium text-ink underline decoration-line-strong underline-offset-4 hover:decoration-ink"
              >
                {system.system_id}
              </button>
            </Td>
            <Td>
              <SystemState system={system} />
            </Td>
            <Td numeric>{records(system, 'hot')}</Td>
            <Td numeric>{records(system, 'warm')}</Td>
            <Td numeric>{records(system, 'cold')}</Td>
            <Td numeric>{count(system.uploads)}</Td>
            <Td className="whitespace-nowrap text-ink-2 tabular-nums">{system.last_upload ? dateTime(system.last_upload) : 'never'}</Td>
            <Td numeric>{system.shard}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
