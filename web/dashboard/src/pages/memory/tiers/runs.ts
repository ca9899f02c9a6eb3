/** Ageing runs as the page shows them. Pure. */
import type { Migration, MigrationRequest } from '../../../api/memory';

export const kSteps = [
  { source: 'hot', target: 'warm', label: 'hot → warm' },
  { source: 'warm', target: 'cold', label: 'warm → cold' },
] as const;
/** Of `cutoff_days`, as the API has it. */
export const kMostDays = 36_500;

export interface Choice {
  step: 'hot' | 'warm';
  /** As typed; empty: as configured. */
  days: string;
}

export function requestOf({ step, days }: Choice): Pick<MigrationRequest, 'source_tier' | 'target_tier'> & { cutoff_days?: number } {
  const { source, target } = kSteps.find(({ source: from }) => from === step) ?? kSteps[0];
  return { source_tier: source, target_tier: target, ...(days === '' ? {} : { cutoff_days: Number(days) }) };
}

export const stepName = ({ source_tier, target_tier }: { source_tier: string; target_tier: string }): string => `${source_tier} → ${target_tier}`;

/** Undefined: it has not ended. */
export function tookSeconds({ start_time, end_time }: Pick<Migration, 'start_time' | 'end_time'>): number | undefined {
  if (!start_time || !end_time) return undefined;
  return Math.max(0, (Date.parse(end_time) - Date.parse(start_time)) / 1000);
}
