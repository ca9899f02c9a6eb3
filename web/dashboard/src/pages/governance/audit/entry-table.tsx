import { Badge, CodeBlock, cx, Table, Td, Th, type Tone } from '@asahi/ui';
import { ChevronRight } from 'lucide-react';
import { Fragment, useState } from 'react';

import type { Schemas } from '../../../api/client';
import { dateTime } from '../../../lib/format';

type Entry = Schemas['AuditEntry'];

const tones: Record<Entry['result'], Tone> = { success: 'ok', failure: 'warn', denied: 'bad' };

/** What the row leaves out. */
function Details({ entry }: { entry: Entry }) {
  const facts: [string, string | number | null | undefined][] = [
    ['Entry', entry.entry_id],
    ['Number', entry.seq],
    ['Time', entry.timestamp],
    ['Address', entry.ip_address],
    ['Client', entry.user_agent],
    ['Classification', entry.data_classification],
    ['Hash before', entry.prev_hash],
  ];
  return (
    <div className="grid gap-4 text-sm lg:grid-cols-2">
      <dl className="space-y-1.5">
        {facts.map(([name, value]) => (
          <div key={name} className="grid grid-cols-[7rem_minmax(0,1fr)] gap-3">
            <dt className="text-ink-3">{name}</dt>
            <dd className="break-all text-ink">{value ?? '–'}</dd>
          </div>
        ))}
      </dl>
      <CodeBlock label="Details" code={JSON.stringify(entry.details ?? {}, null, 2)} className="max-h-72 bg-page break-all whitespace-pre-wrap" />
    </div>
  );
}

export function EntryTable({ entries }: { entries: readonly Entry[] }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  return (
    <Table label="Audit log">
      <thead>
        <tr>
          <Th>
            <span className="sr-only">Details</span>
          </Th>
          <Th>Time</Th>
          <Th>Actor</Th>
          <Th>Action</Th>
          <Th>Resource</Th>
          <Th>Result</Th>
          <Th>IP</Th>
          <Th>Classification</Th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => {
          const shown = open.has(entry.entry_id);
          const id = `details-${entry.entry_id}`;
          return (
            <Fragment key={entry.entry_id}>
              <tr className="hover:bg-sunken/60">
                <Td className="w-px pr-0">
                  <button
                    type="button"
                    aria-expanded={shown}
                    aria-controls={shown ? id : undefined}
                    aria-label={`Details of ${entry.action}, ${dateTime(entry.timestamp)}`}
                    onClick={() => toggle(entry.entry_id)}
                    className="grid size-7 place-items-center rounded text-ink-3 hover:bg-line hover:text-ink"
                  >
                    <ChevronRight aria-hidden className={cx('size-4 transition-transform duration-200', shown && 'rotate-90')} />
                  </button>
                </Td>
                <Td className="whitespace-nowrap text-ink-2 tabular-nums">{dateTime(entry.timestamp)}</Td>
                <Td className="max-w-44 truncate text-ink-2" title={entry.user_id}>
                  {entry.user_id}
                </Td>
                <Td className="font-medium whitespace-nowrap">{entry.action}</Td>
                <Td className="max-w-52 truncate text-ink-2" title={entry.resource}>
                  {entry.resource}
                </Td>
                <Td>
                  <Badge tone={tones[entry.result]} dot>
                    {entry.result}
                  </Badge>
                </Td>
                <Td className="text-xs whitespace-nowrap text-ink-2 tabular-nums">{entry.ip_address ?? '–'}</Td>
                <Td className="text-xs text-ink-2">{entry.data_classification ?? '–'}</Td>
              </tr>
              {shown && (
                <tr id={id}>
                  <Td colSpan={8} className="bg-sunken/60">
                    <Details entry={entry} />
                  </Td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </Table>
  );
}
