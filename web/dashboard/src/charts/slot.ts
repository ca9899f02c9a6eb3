import { createContext } from 'react';

/** Where a chart's switch to its table stands: in the head of its card; null: below the chart. */
export const ChartSlot = createContext<HTMLElement | null>(null);
