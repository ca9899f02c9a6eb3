import { Badge, BarList, Button, SidePanel, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Trash2 } from 'lucide-react';
import { useState } from 'react';

import { ApiError } from '../../../api/errors';
import { lastUploadsQuery, systemQuery, type System } from '../../../api/memory';
import { may, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { count, counted, dateTime, percent } from '../../../lib/format';
import { kTiers } from '../tiers/tier-cards';
import { uploadTones } from '../upload-tones';
import { EraseDialog } from './erase-dialog';
import { SystemProfile } from './system-profile';
import { SystemState } from './system-table';

const kLink = 'inline-flex items-center rounded-lg border border-line px-3 py-2 text-sm font-medium text-ink hover:bg-sunken';

function Tiers({ system }: { system: System }) {
  const all = Math.max(system.total_records, 1);
  const rows = kTiers.map(({ name, label }) => {
    const records = system.records[name] ?? 0;
    return { name: label, amount: records, text: count(records), share: percent(records / all) };
  });
  return <BarList label="Memories by tier" rows={rows} />;
}

function LastUploads({ id }: { id: string }) {
  const uploads = useQuery(lastUploadsQuery(id));
  const { data } = uploads;
  if (!data) {
    return uploads.isError ? (
      <Failure title="Its uploads could not be loaded" error={uploads.error} onRetry={() => void uploads.refetch()} retrying={uploads.isFetching} />
    ) : (
      <SkeletonRows rows={3} />
    );
  }
  if (data.length === 0) return <p className="text-sm text-ink-2">The ledger has no upload of it any more.</p>;
  return (
    <ul aria-label="Last uploads" className="divide-y divide-line text-sm">
      {data.map((upload) => (
        <li key={upload.upload_id} className="py-2.5">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="min-w-0 truncate font-mono text-[13px] text-ink" title={upload.upload_id}>
              {upload.upload_id}
            </span>
            <Badge tone={uploadTones[upload.state]} dot>
              {upload.state}
            </Badge>
            <span className="ml-auto text-xs text-ink-3 tabular-nums">{dateTime(upload.updated_at)}</span>
          </div>
          <p className="mt-0.5 text-ink-2 tabular-nums">
            {count(upload.counts.stored ?? 0)} new, {count(upload.counts.duplicates ?? 0)} duplicate, {count(upload.counts.errors ?? 0)} with errors
          </p>
          {upload.error && <p className="mt-0.5 break-words text-bad-text">{upload.error}</p>}
        </li>
      ))}
    </ul>
  );
}

function Whole({ id, onGone }: { id: string; onGone: () => void }) {
  const caller = useCaller();
  const [erasing, setErasing] = useState(false);
  const system = useQuery(systemQuery(id));
  const { data } = system;
  if (!data) {
    if (!system.isError) return <SkeletonRows rows={8} />;
    if (system.error instanceof ApiError && system.error.status === 404) return <p className="text-sm text-ink-2">Nothing is known of this system (any more): it was erased, or its address is wrong.</p>;
    return <Failure title="The system could not be loaded" error={system.error} onRetry={() => void system.refetch()} retrying={system.isFetching} />;
  }
  return (
    <>
      <div className="mb-5 flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-ink-2 tabular-nums">
        <SystemState system={data} />
        <span>
          {counted(data.total_records, 'memory', 'memories')}, shard {data.shard}
        </span>
        <span>{data.last_upload ? `last upload ${dateTime(data.last_upload)}` : 'never sent an upload'}</span>
      </div>
      <h3 className="mb-3 text-sm font-semibold text-ink">Tiers</h3>
      <Tiers system={data} />
      {data.profile && (
        <>
          <h3 className="mt-6 mb-3 text-sm font-semibold text-ink">What it remembers</h3>
          <SystemProfile profile={data.profile} />
        </>
      )}
      <h3 className="mt-6 mb-1 text-sm font-semibold text-ink">Last of {counted(data.uploads, 'upload')}</h3>
      <LastUploads id={id} />
      <div className="mt-6 flex flex-wrap gap-2 border-t border-line pt-5">
        {may(caller, 'query:search') && (
          <Link to="/memory/search" search={{ systems: [id] } as never} className={kLink}>
            Search in it
          </Link>
        )}
        <Link to="/memory/uploads" search={{ system: id } as never} className={kLink}>
          Its uploads
        </Link>
        {may(caller, 'ingest:delete') && (
          <Button className="text-bad-text" onClick={() => setErasing(true)}>
            <Trash2 aria-hidden className="size-4" />
            Erase the system…
          </Button>
        )}
      </div>
      <EraseDialog id={id} memories={data.total_records} open={erasing} onOpenChange={setErasing} onGone={onGone} />
    </>
  );
}

/** One system: where its memories lie, what it sent last, and the end of it. */
export function SystemPanel({ id, onClose }: { id: string | undefined; onClose: () => void }) {
  return (
    <SidePanel open={id !== undefined} onOpenChange={(open) => !open && onClose()} title={id ?? ''} description="An agent system that remembers here.">
      {id !== undefined && <Whole key={id} id={id} onGone={onClose} />}
    </SidePanel>
  );
}
