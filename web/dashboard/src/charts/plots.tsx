/** What Recharts draws. Loaded only when a chart is shown: import it from `./charts`, never directly. */
import type { ReactNode } from 'react';
import {
  Area,
  Bar,
  BarChart,
  CartesianGrid,
  Cell,
  ComposedChart,
  Line,
  Pie,
  PieChart,
  ReferenceLine,
  Scatter,
  ScatterChart,
  Tooltip,
  XAxis,
  YAxis,
  ZAxis,
} from 'recharts';

import { extent, isAlone, momentLabel, niceTop, tickLabel, ticksOf, withGaps, type Row } from './series';

const axis = { tick: { fill: 'var(--ink-3)', fontSize: 12 }, tickLine: false, axisLine: false } as const;
const margin = { top: 8, right: 8, bottom: 0, left: 0 };
/** Room for a value beside the axis. */
const kValueWidth = 62;
const kTickRoom = 84;

function Bubble({ title, rows }: { title: string; rows: readonly { name: string; text: string; colour?: string | undefined }[] }) {
  return (
    <div className="max-w-64 rounded-lg border border-line bg-panel px-3 py-2 text-xs shadow-lg">
      <p className="font-medium text-ink">{title}</p>
      <ul className="mt-1 space-y-0.5">
        {rows.map(({ name, text, colour }) => (
          <li key={name} className="flex items-center gap-2 text-ink-2">
            {colour && <span className="size-2 shrink-0 rounded-full" style={{ background: colour }} />}
            <span className="min-w-0 flex-1 truncate">{name}</span>
            <span className="font-medium text-ink tabular-nums">{text}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

export interface PlotLine {
  key: string;
  name: string;
  colour: string;
  dashed?: boolean;
  /** Fills the area under it. */
  filled?: boolean;
}

export interface TimePlotProps {
  width: number;
  height: number;
  rows: readonly Row[];
  lines: readonly PlotLine[];
  /** Distance of the moments, ms. */
  step: number;
  format: (value: number) => string;
  /** Ends the value axis there at least. */
  least?: number;
  /** Ends it there exactly: shares. */
  top?: number;
  /** A horizontal line: a budget. */
  mark?: { value: number; name: string } | undefined;
  /** Between two keys of the rows: a band of confidence. */
  band?: { low: string; high: string; name: string; colour: string } | undefined;
  /** A vertical line: where the known ends. */
  now?: { t: number; name: string } | undefined;
}

export function TimePlot({ width, height, rows, lines, step, format, least, top, mark, band, now }: TimePlotProps) {
  const shown = withGaps(rows, step);
  const times = shown.map(({ t }) => t);
  const ends = extent(times, step);
  const highest = Math.max(
    mark?.value ?? 0,
    ...shown.map((row) => Math.max(0, ...lines.map(({ key }) => row[key] ?? 0), band ? (row[band.high] ?? 0) : 0)),
  );
  const data = band ? shown.map((row) => ({ ...row, band: bandOf(row, band) })) : shown;
  return (
    <ComposedChart width={width} height={height} data={data as Row[]} margin={margin} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis
        {...axis}
        dataKey="t"
        type="number"
        scale="time"
        domain={ends}
        ticks={ticksOf(times, Math.max(2, Math.floor((width - kValueWidth) / kTickRoom)))}
        tickFormatter={(t: number) => tickLabel(t, step, ends[1] - ends[0])}
        interval="preserveStartEnd"
        minTickGap={12}
        height={28}
      />
      <YAxis {...axis} width={kValueWidth} domain={[0, top ?? niceTop(highest, least)]} tickCount={5} tickFormatter={format} />
      <Tooltip
        isAnimationActive={false}
        cursor={{ stroke: 'var(--line-strong)', strokeDasharray: '3 3' }}
        content={({ active, label }) => {
          const row = active ? shown.find(({ t }) => t === label) : undefined;
          if (!row) return null;
          const known = lines.filter(({ key }) => typeof row[key] === 'number');
          const listed = known.map(({ key, name, colour }) => ({ name, colour, value: row[key] ?? 0 })).sort((a, b) => b.value - a.value);
          const range = band && typeof row[band.high] === 'number' ? [{ name: band.name, text: `${format(row[band.low] ?? 0)} – ${format(row[band.high] ?? 0)}`, colour: band.colour }] : [];
          if (listed.length + range.length === 0) return null;
          return <Bubble title={momentLabel(row.t, step)} rows={[...listed.map(({ value, ...rest }) => ({ ...rest, text: format(value) })), ...range]} />;
        }}
      />
      {band && <Area dataKey="band" stroke="none" fill={band.colour} fillOpacity={0.16} isAnimationActive={false} activeDot={false} />}
      {lines.map(({ key, colour, filled }) => filled && <Area key={`${key} area`} dataKey={key} stroke="none" fill={colour} fillOpacity={0.1} isAnimationActive={false} activeDot={false} />)}
      {lines.map(({ key, name, colour, dashed }) => (
        <Line
          key={key}
          dataKey={key}
          name={name}
          stroke={colour}
          strokeWidth={2}
          {...(dashed ? { strokeDasharray: '5 4' } : {})}
          isAnimationActive={false}
          connectNulls={false}
          activeDot={{ r: 4, strokeWidth: 0, fill: colour }}
          dot={({ cx, cy, index }: { cx?: number; cy?: number; index: number }) =>
            isAlone(shown, index, key) ? <circle key={index} cx={cx ?? 0} cy={cy ?? 0} r={3.5} fill={colour} /> : <g key={index} />
          }
        />
      ))}
      {mark && mark.value > 0 && (
        <ReferenceLine
          y={mark.value}
          stroke="var(--bad-text)"
          strokeDasharray="6 4"
          label={{ value: mark.name, position: 'insideTopLeft', fill: 'var(--bad-text)', fontSize: 12 }}
        />
      )}
      {now && <ReferenceLine x={now.t} stroke="var(--line-strong)" strokeDasharray="2 3" label={{ value: now.name, position: 'insideTopRight', fill: 'var(--ink-3)', fontSize: 12 }} />}
    </ComposedChart>
  );
}

function bandOf(row: Row, { low, high }: { low: string; high: string }): [number, number] | null {
  const [from, to] = [row[low], row[high]];
  return typeof from === 'number' && typeof to === 'number' ? [from, to] : null;
}

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

export interface BarsPlotProps {
  width: number;
  height: number;
  bars: readonly { name: string; value: number; colour: string; text?: string }[];
  format: (value: number) => string;
  top?: number;
}

export function BarsPlot({ width, height, bars, format, top }: BarsPlotProps) {
  return (
    <BarChart width={width} height={height} data={bars.map((bar) => ({ ...bar }))} margin={margin} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis {...axis} dataKey="name" interval={0} height={28} />
      <YAxis {...axis} width={kValueWidth} domain={[0, top ?? niceTop(Math.max(0, ...bars.map(({ value }) => value)))]} tickCount={5} tickFormatter={format} />
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
  return (
    <ScatterChart width={width} height={height} margin={{ ...margin, right: 20, top: 16 }} accessibilityLayer={false}>
      <CartesianGrid stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis
        {...axis}
        type="number"
        dataKey="x"
        domain={[0, niceTop(Math.max(0, ...dots.map(({ x }) => x)))]}
        tickCount={width < 420 ? 3 : 5}
        tickFormatter={xFormat}
        height={44}
        label={{ value: xName, position: 'insideBottom', fill: 'var(--ink-3)', fontSize: 12 }}
      />
      <YAxis
        {...axis}
        type="number"
        dataKey="y"
        domain={yDomain}
        width={kValueWidth}
        tickCount={5}
        tickFormatter={yFormat}
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
