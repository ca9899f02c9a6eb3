import type { Schemas } from '../api/client';

type Model = Pick<Schemas['ModelUsage'], 'model' | 'requests' | 'avg_cost' | 'avg_quality'>;

/** A model that hardly answered anything says little about itself. */
const kLeastShare = 0.01;

/** The model with the most quality per dollar; of free ones the best. Undefined while none was rated. */
export function bestModel<M extends Model>(models: readonly M[]): M | undefined {
  const all = models.reduce((sum, { requests }) => sum + requests, 0);
  const value = ({ avg_quality, avg_cost }: M) => (avg_cost > 0 ? avg_quality / avg_cost : Infinity);
  return models
    .filter(({ avg_quality, requests }) => avg_quality > 0 && requests >= all * kLeastShare)
    .sort((a, b) => (value(a) === value(b) ? b.avg_quality - a.avg_quality : value(b) - value(a)))[0];
}
