import type { Sort } from '@asahi/ui';

/** A sorted copy; texts compare without regard to case and with numbers in their order. */
export function sortedBy<T, K extends string>(
  rows: readonly T[],
  sort: Sort<K>,
  valueOf: (row: T, key: K) => string | number,
): T[] {
  const sign = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [valueOf(a, sort.key), valueOf(b, sort.key)];
    const order =
      typeof left === 'number' && typeof right === 'number'
        ? left - right
        : String(left).localeCompare(String(right), 'en', { numeric: true, sensitivity: 'base' });
    return sign * order;
  });
}
