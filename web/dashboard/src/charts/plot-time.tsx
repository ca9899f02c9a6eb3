/** Drawn by Recharts, loaded only when it is shown: import it through `./charts`, never directly. */
import { Area, CartesianGrid, ComposedChart, Line, ReferenceLine, Tooltip, XAxis, YAxis } from 'recharts';

import { axis, Bubble, margin, valueAxis } from './plot-parts';
import { extent, isAlone, momentLabel, niceTicks, tickLabel, ticksOf, withGaps, type Row } from './series';

/** Of one label under the axis, px. */
const kTickRoom = 84;
/** In heights of the lines. */
const kFarthestMark = 4;

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
  /** A share: from 0 to 1. */
  share?: boolean;
  /** A count: no marks between whole numbers. */
  whole?: boolean;
  /** A horizontal line: a budget. */
  mark?: { value: number; name: string } | undefined;
  /** Between two keys of the rows: a band of confidence. */
  band?: { low: string; high: string; name: string; colour: string } | undefined;
  /** A vertical line: where the known ends. */
  now?: { t: number; name: string } | undefined;
}

export function TimePlot({ width, height, rows, lines, step, format, least, share = false, whole = false, mark, band, now }: TimePlotProps) {
  const shown = withGaps(rows, step);
  const times = shown.map(({ t }) => t);
  const ends = extent(times, step);
  const data = Math.max(0, ...shown.map((row) => Math.max(0, ...lines.map(({ key }) => row[key] ?? 0), band ? (row[band.high] ?? 0) : 0)));
  // A mark far above would press the lines flat; it is left out then.
  const marked = mark && mark.value > 0 && mark.value <= kFarthestMark * data ? mark : undefined;
  const ticks = share ? [0, 0.25, 0.5, 0.75, 1] : niceTicks(Math.max(marked?.value ?? 0, data), { least: least ?? 0, whole });
  const values = valueAxis(ticks, format);
  const points = band ? shown.map((row) => ({ ...row, band: bandOf(row, band) })) : shown;
  return (
    <ComposedChart width={width} height={height} data={points as Row[]} margin={margin} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" strokeDasharray="3 3" />
      <XAxis
        {...axis}
        dataKey="t"
        type="number"
        scale="time"
        domain={ends}
        ticks={ticksOf(times, Math.max(2, Math.floor((width - values.width) / kTickRoom)))}
        tickFormatter={(t: number) => tickLabel(t, step, ends[1] - ends[0])}
        interval="preserveStartEnd"
        minTickGap={12}
        height={28}
      />
      <YAxis {...values} />
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
      {marked && (
        <ReferenceLine
          y={marked.value}
          stroke="var(--bad-text)"
          strokeDasharray="6 4"
          label={{ value: marked.name, position: 'insideBottomRight', fill: 'var(--bad-text)', fontSize: 12 }}
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
