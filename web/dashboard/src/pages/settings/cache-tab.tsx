import { Button, EmptyState, Input, SectionCard, SkeletonRows, Table, Td, Th, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Lock } from 'lucide-react';
import { useState } from 'react';

import { put } from '../../api/client';
import { ApiError } from '../../api/errors';
import { settingsQuery, thresholdsQuery } from '../../api/queries';
import { may, useCaller } from '../../app/access';
import { Failure } from '../../app/failure';
import { EffectiveList, HowToChange } from './effective';

const kSensitivities = ['high', 'medium', 'low'] as const;
type Sensitivity = (typeof kSensitivities)[number];

interface CellProps {
  task: string;
  sensitivity: Sensitivity;
  value: number;
}

/** One threshold; saved by leaving the field or by Enter. */
function ThresholdCell({ task, sensitivity, value }: CellProps) {
  const [text, setText] = useState(String(value));
  const queries = useQueryClient();
  const notify = useToast();
  const saving = useMutation({
    mutationFn: (threshold: number) => put('/cache/thresholds', { task_type: task, cost_sensitivity: sensitivity, threshold }),
    onSuccess: (saved) => {
      queries.setQueryData(thresholdsQuery.queryKey, saved);
      notify('ok', `${task}, ${sensitivity}: similar from ${saved.thresholds[task]?.[sensitivity] ?? text} on.`);
    },
    onError: (error) => {
      setText(String(value));
      notify('bad', `Not saved: ${error.message}`);
    },
  });
  const number = Number(text);
  const wrong = text.trim() === '' || !Number.isFinite(number) || number < 0 || number > 1;
  const save = () => {
    if (!wrong && number !== value && !saving.isPending) saving.mutate(number);
  };
  return (
    <Input
      aria-label={`${task}, cost sensitivity ${sensitivity}`}
      inputMode="decimal"
      value={text}
      aria-invalid={wrong || undefined}
      title={wrong ? 'From 0 to 1' : undefined}
      disabled={saving.isPending}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => (wrong ? setText(String(value)) : save())}
      onKeyDown={(event) => event.key === 'Enter' && save()}
      className="w-20 py-1 text-right tabular-nums aria-invalid:border-bad"
    />
  );
}

function ThresholdsCard() {
  const settings = useQuery(settingsQuery);
  const told = settings.data?.settings.find(({ path }) => path === 'cache.tier2.enabled')?.value === 'false';
  const caller = useCaller();
  const others = !may(caller, 'manage_tenants');
  // What is known not to be there is not asked for.
  const thresholds = useQuery({ ...thresholdsQuery, enabled: !settings.isPending && !told && !others });
  const { data } = thresholds;
  const refused = (status: number): boolean => thresholds.error instanceof ApiError && thresholds.error.status === status;
  const foreign = others || refused(403);
  const off = told || refused(404);
  return (
    <SectionCard
      title="Similarity that tier 2 wants"
      note="Per task and cost sensitivity, from 0 to 1. A first filter: a verifier looks at what passes. Changes hold at once, for the whole installation."
      actions={
        data && (
          <Button look="ghost" onClick={() => void thresholds.refetch()}>
            Read again
          </Button>
        )
      }
    >
      {foreign ? (
        <EmptyState icon={Lock} title="For the operator">
          These hold for every organisation, so only who runs the gateway changes them.
        </EmptyState>
      ) : off ? (
        <EmptyState icon={Lock} title="Tier 2 is off">
          Set <code className="font-mono text-[13px]">cache.tier2.enabled</code> to have questions that mean the same share an answer.
        </EmptyState>
      ) : thresholds.isError && !data ? (
        <Failure title="The thresholds could not be read" error={thresholds.error} onRetry={() => void thresholds.refetch()} retrying={thresholds.isFetching} />
      ) : !data ? (
        <SkeletonRows rows={5} />
      ) : (
        <Table label="Thresholds of tier 2">
          <thead>
            <tr>
              <Th>Task</Th>
              {kSensitivities.map((sensitivity) => (
                <Th key={sensitivity} numeric>
                  {sensitivity}
                </Th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Object.entries(data.thresholds).map(([task, row]) => (
              <tr key={task}>
                <Td className="font-medium">{task}</Td>
                {kSensitivities.map((sensitivity) => (
                  <Td key={sensitivity} numeric className="py-2">
                    <ThresholdCell key={row[sensitivity]} task={task} sensitivity={sensitivity} value={row[sensitivity]} />
                  </Td>
                ))}
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </SectionCard>
  );
}

export function CacheTab() {
  return (
    <>
      <ThresholdsCard />
      <SectionCard className="mt-4" title="Life, size and clean-up" note={<HowToChange />}>
        <EffectiveList sections={['cache', 'embeddings']} />
      </SectionCard>
      <SectionCard className="mt-4" title="Life per task" note="Hours that an answer of the task stays, and whether tier 2 may answer its questions.">
        <EffectiveList sections={['tasks']} depth={2} />
      </SectionCard>
    </>
  );
}
