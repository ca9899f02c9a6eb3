/** Drawn by Recharts, loaded only when it is shown: import it through `./charts`, never directly. */
import type { ReactNode } from 'react';
import { Cell, Pie, PieChart, Tooltip } from 'recharts';

import { Bubble } from './plot-parts';

export interface Slice {
  name: string;
  value: number;
  colour: string;
}

export function SharePlot({ size, slices, format, children }: { size: number; slices: readonly Slice[]; format: (value: number) => string; children: ReactNode }) {
  const all = slices.reduce((sum, { value }) => sum + value, 0);
  const shown = slices.filter(({ value }) => value > 0);
  return (
    <div className="relative" style={{ width: size, height: size }}>
      <PieChart width={size} height={size} accessibilityLayer={false}>
        <Pie
          data={shown.map((slice) => ({ ...slice }))}
          dataKey="value"
          nameKey="name"
          innerRadius="66%"
          outerRadius="98%"
          startAngle={90}
          endAngle={-270}
          paddingAngle={shown.length > 1 ? 1.5 : 0}
          minAngle={2}
          stroke="none"
          isAnimationActive={false}
        >
          {shown.map(({ name, colour }) => (
            <Cell key={name} fill={colour} />
          ))}
        </Pie>
        <Tooltip
          isAnimationActive={false}
          wrapperStyle={{ zIndex: 10 }}
          content={({ active, payload }) => {
            const slice = active ? (payload[0]?.payload as Slice | undefined) : undefined;
            return slice ? <Bubble title={slice.name} rows={[{ name: `${((slice.value / all) * 100).toFixed(1)}%`, text: format(slice.value), colour: slice.colour }]} /> : null;
          }}
        />
      </PieChart>
      <div className="pointer-events-none absolute inset-0 grid place-items-center text-center">{children}</div>
    </div>
  );
}
