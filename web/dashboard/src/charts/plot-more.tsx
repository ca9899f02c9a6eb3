/** Drawn by Recharts, loaded only when it is shown: import it through `./charts`, never directly. */
import { Bar, BarChart, CartesianGrid, Cell, Scatter, ScatterChart, Tooltip, XAxis, YAxis, ZAxis } from 'recharts';

import { axis, Bubble, margin, oneLine, valueAxis, widthOf } from './plot-parts';
import { niceTicks } from './series';

export interface BarsPlotProps {
  width: number;
  height: number;
  bars: readonly { name: string; value: number; colour: string; text?: string }[];
  format: (value: number) => string;
  /** A count: no marks between whole numbers. */
  whole?: boolean;
}

export function BarsPlot({ width, height, bars, format, whole = false }: BarsPlotProps) {
  return (
    <BarChart width={width} height={height} data={bars.map((bar) => ({ ...bar }))} margin={margin} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis {...axis} dataKey="name" interval={0} height={28} />
      <YAxis {...valueAxis(niceTicks(Math.max(0, ...bars.map(({ value }) => value)), { whole }), format)} />
      <Tooltip
        isAnimationActive={false}
        cursor={{ fill: 'var(--sunken)' }}
        content={({ active, payload }) => {
          const bar = active ? (payload[0]?.payload as BarsPlotProps['bars'][number] | undefined) : undefined;
          return bar ? <Bubble title={bar.name} rows={[{ name: bar.text ?? 'Value', text: format(bar.value), colour: bar.colour }]} /> : null;
        }}
      />
      <Bar dataKey="value" maxBarSize={56} radius={[4, 4, 0, 0]} isAnimationActive={false}>
        {bars.map(({ name, colour }) => (
          <Cell key={name} fill={colour} />
        ))}
      </Bar>
    </BarChart>
  );
}

export interface Dot {
  name: string;
  x: number;
  y: number;
  size: number;
  colour: string;
  /** Lines of the bubble. */
  facts: readonly { name: string; text: string }[];
}

export interface DotsPlotProps {
  width: number;
  height: number;
  dots: readonly Dot[];
  xFormat: (value: number) => string;
  yFormat: (value: number) => string;
  xName: string;
  yName: string;
  yDomain: [number, number];
}

export function DotsPlot({ width, height, dots, xFormat, yFormat, xName, yName, yDomain }: DotsPlotProps) {
  const sizes = dots.map(({ size }) => size);
  const across = niceTicks(Math.max(0, ...dots.map(({ x }) => x)));
  return (
    <ScatterChart width={width} height={height} margin={{ ...margin, right: 20, top: 16 }} accessibilityLayer={false}>
      <CartesianGrid stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis
        {...axis}
        type="number"
        dataKey="x"
        domain={[0, across.at(-1) ?? 1]}
        ticks={width < 420 ? across.filter((_, i) => i % 2 === 0) : across}
        interval={0}
        tickFormatter={oneLine(xFormat)}
        height={44}
        label={{ value: xName, position: 'insideBottom', fill: 'var(--ink-3)', fontSize: 12 }}
      />
      <YAxis
        {...axis}
        type="number"
        dataKey="y"
        domain={yDomain}
        width={widthOf([5], yFormat) + 22}
        tickCount={5}
        tickFormatter={oneLine(yFormat)}
        label={{ value: yName, position: 'insideLeft', angle: -90, fill: 'var(--ink-3)', fontSize: 12, style: { textAnchor: 'middle' } }}
      />
      <ZAxis type="number" dataKey="size" domain={[0, Math.max(1, ...sizes)]} range={[60, 500]} />
      <Tooltip
        isAnimationActive={false}
        cursor={false}
        content={({ active, payload }) => {
          const dot = active ? (payload[0]?.payload as Dot | undefined) : undefined;
          return dot ? <Bubble title={dot.name} rows={dot.facts} /> : null;
        }}
      />
      <Scatter data={dots.map((dot) => ({ ...dot }))} isAnimationActive={false} fillOpacity={0.8}>
        {dots.map(({ name, colour }) => (
          <Cell key={name} fill={colour} stroke={colour} />
        ))}
      </Scatter>
    </ScatterChart>
  );
}
