import { Badge, Button, Dialog, Notice, SectionCard, SkeletonRows, useToast, type Tone } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { backendQuery, finishMove, revertMove, type Backend as Status, type BackendMove } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { dateTime, percent } from '../../../lib/format';
import { copiedText, isMoving, placeText, shareCopied } from './move';
import { MoveDialog } from './move-dialog';

const tones: Record<BackendMove['phase'], Tone> = { copying: 'info', window: 'info', finished: 'ok', reverted: 'neutral', aborted: 'bad' };
const meanings: Record<BackendMove['phase'], string> = {
  copying: 'The old backend answers and decides; the new one is filled beside it.',
  window: 'Both are written, so that it can be taken back without a loss.',
  finished: 'The new backend is alone.',
  reverted: 'The old backend is alone again; nothing was lost.',
  aborted: 'It ended before the new backend was read; the old one is alone.',
};

function Facts({ status, move }: { status: Status; move: BackendMove }) {
  const facts: [string, string][] = [
    ['From', placeText(move.from)],
    ['To', placeText(move.to)],
    ['Copied', copiedText(move)],
    ...(status.reads ? [['Read now', status.reads === 'new' ? 'the new backend' : 'the old backend'] as [string, string]] : []),
    ['Begun', dateTime(move.started_at)],
    ...(move.window_since ? [['Both written since', dateTime(move.window_since)] as [string, string]] : []),
    ...(move.revert_until ? [['Window ends', `${dateTime(move.revert_until)}; then the new backend is alone`] as [string, string]] : []),
    ...(move.ended_at ? [['Ended', `${dateTime(move.ended_at)}${move.reason ? `: ${move.reason}` : ''}`] as [string, string]] : []),
  ];
  return (
    <dl className="grid gap-x-6 gap-y-1.5 text-sm sm:grid-cols-[auto_1fr]">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-ink-3">{name}</dt>
          <dd className="min-w-0 break-words text-ink tabular-nums max-sm:mb-1.5">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Move({ status, move }: { status: Status; move: BackendMove }) {
  const share = shareCopied(status);
  return (
    <div className="space-y-3">
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-ink-2">
        <Badge tone={tones[move.phase]} dot>
          {move.phase}
        </Badge>
        <span>{meanings[move.phase]}</span>
      </p>
      {share !== undefined && (
        <div>
          <p role="status" className="text-sm text-ink tabular-nums">
            {share === 1 ? 'All of it is on the new backend.' : `≈ ${percent(share)} is on the new backend.`}
          </p>
          <progress aria-label="Share on the new backend" className="mt-1.5 h-2 w-full overflow-hidden rounded-full accent-accent" value={share} max={1} />
        </div>
      )}
      <Facts status={status} move={move} />
      {status.error && isMoving(move) && (
        <Notice tone="warn">
          The last step did not succeed and is tried again: <span className="break-words">{status.error}</span>
        </Notice>
      )}
    </div>
  );
}

const kEnds = {
  revert: {
    run: revertMove,
    button: 'Take it back',
    title: 'Take the move back?',
    description: 'The old backend has everything and is alone again at once. What was copied stays where it is.',
    done: 'The old backend is alone again.',
    failed: 'It was not taken back',
  },
  finish: {
    run: finishMove,
    button: 'Finish now',
    title: 'Finish the move now?',
    description: 'From then on only the new backend is written, and the move cannot be taken back.',
    done: 'The new backend is alone.',
    failed: 'It was not finished',
  },
} as const;

/** Asks before a move ends by hand. */
function EndDialog({ end, open, onOpenChange }: { end: keyof typeof kEnds; open: boolean; onOpenChange: (open: boolean) => void }) {
  const { run, button, title, description, done, failed } = kEnds[end];
  const queries = useQueryClient();
  const notify = useToast();
  const ending = useMutation({
    mutationFn: run,
    onSuccess: (status) => {
      queries.setQueryData(backendQuery.queryKey, status);
      notify('ok', done);
      close(false);
    },
  });
  const close = (next: boolean) => {
    ending.reset();
    onOpenChange(next);
  };
  return (
    <Dialog open={open} onOpenChange={close} title={title} description={description}>
      <div className="mt-5 space-y-4">
        {ending.isError && <Failure title={failed} error={ending.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Not now</Button>
          <Button look="danger" busy={ending.isPending} onClick={() => ending.mutate()}>
            {button}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

/** What may be done with the tier now. */
function Actions({ move }: { move: BackendMove | null }) {
  const [asking, setAsking] = useState<keyof typeof kEnds | 'begin'>();
  const dialogOf = (what: typeof asking) => ({ open: asking === what, onOpenChange: (open: boolean) => setAsking(open ? what : undefined) });
  return (
    <div className="mt-4 flex flex-wrap gap-2 border-t border-line pt-4">
      {!isMoving(move) && <Button onClick={() => setAsking('begin')}>Move the hot tier…</Button>}
      {isMoving(move) && <Button onClick={() => setAsking('revert')}>Take it back…</Button>}
      {move?.phase === 'window' && <Button onClick={() => setAsking('finish')}>Finish now…</Button>}
      <MoveDialog {...dialogOf('begin')} />
      <EndDialog end="revert" {...dialogOf('revert')} />
      <EndDialog end="finish" {...dialogOf('finish')} />
    </div>
  );
}

/** Where the hot tier is kept, and how its move to another backend is getting on; for whoever operates the installation. */
export function Backend() {
  const query = useQuery(backendQuery);
  const { data, isError, error, refetch, isFetching } = query;
  if (data?.backend === null) return null;
  return (
    <SectionCard className="mt-4" title="Backend of the hot tier" note={data ? `Now: ${placeText(data.backend)}.` : isError ? 'Not known' : 'Loading'}>
      {isError && (
        <div className={data ? 'mb-4' : ''}>
          <Failure title={data ? 'The backend could not be asked again' : 'The backend could not be asked'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
        </div>
      )}
      {data ? (
        <>
          {data.move ? <Move status={data} move={data.move} /> : <p className="text-sm text-ink-2">It has not moved. It goes to another backend, and back, while it is used.</p>}
          <Actions move={data.move} />
        </>
      ) : (
        !isError && <SkeletonRows rows={2} />
      )}
    </SectionCard>
  );
}
