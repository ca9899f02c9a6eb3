/** The charts of the pages. Each draws itself when its library has come, keeps its place until then, and can be read as a table. */
import { Button, cx, Skeleton, Table, Td, Th } from '@asahi/ui';
import { ChartSpline, Table2 } from 'lucide-react';
import { Component, lazy, Suspense, use, useState, type ReactNode } from 'react';
import { createPortal } from 'react-dom';

import type { BarsPlotProps, Dot, DotsPlotProps } from './plot-more';
import type { Slice } from './plot-share';
import type { PlotLine, TimePlotProps } from './plot-time';
import { momentLabel, type Row } from './series';
import { ChartSlot } from './slot';
import { useWidth } from './use-width';

const plotTime = () => import('./plot-time');
const plotShare = () => import('./plot-share');
const plotMore = () => import('./plot-more');
const TimePlot = lazy(async () => ({ default: (await plotTime()).TimePlot }));
const SharePlot = lazy(async () => ({ default: (await plotShare()).SharePlot }));
const BarsPlot = lazy(async () => ({ default: (await plotMore()).BarsPlot }));
const DotsPlot = lazy(async () => ({ default: (await plotMore()).DotsPlot }));

/** Each loads a file that charts need. */
export const preloadCharts: readonly (() => Promise<unknown>)[] = [plotTime, plotShare, plotMore];

export interface TableView {
  columns: readonly string[];
  /** The first cell names the row. */
  rows: readonly (readonly string[])[];
}

const kMostRows = 400;

function DataTable({ label, view, height }: { label: string; view: TableView; height: number }) {
  return (
    <div className="overflow-y-auto" style={{ maxHeight: Math.max(height, 240) }}>
      <Table label={label} className="mx-0 mb-0 sm:mx-0 sm:mb-0">
        <thead>
          <tr>
            {view.columns.map((column, i) => (
              <Th key={column} numeric={i > 0}>
                {column}
              </Th>
            ))}
          </tr>
        </thead>
        <tbody>
          {view.rows.slice(-kMostRows).map((cells) => (
            <tr key={cells[0]}>
              {cells.map((cell, i) => (
                <Td key={view.columns[i]} numeric={i > 0} className="py-1.5">
                  {cell}
                </Td>
              ))}
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  );
}

/** The page lives on when the file of the charts cannot be had: the table still says everything. */
class TableInstead extends Component<{ table: ReactNode; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };
  static getDerivedStateFromError() {
    return { failed: true };
  }
  override render() {
    return this.state.failed ? this.props.table : this.props.children;
  }
}

interface ChartProps {
  /** What is drawn, and what it shows in one sentence: read to those who cannot see it. */
  label: string;
  view: TableView;
  height: number;
  legend?: ReactNode;
  draw: (width: number) => ReactNode;
}

function Chart({ label, view, height, legend, draw }: ChartProps) {
  const [box, width] = useWidth();
  const [asTable, setAsTable] = useState(false);
  const slot = use(ChartSlot);
  const table = <DataTable label={label} view={view} height={height} />;
  const turn = (
    <Button
      look="ghost"
      size="icon"
      className="-my-1 size-8"
      aria-label={asTable ? `Show as chart: ${label}` : `Show as table: ${label}`}
      title={asTable ? 'Show as chart' : 'Show as table'}
      onClick={() => setAsTable(!asTable)}
    >
      {asTable ? <ChartSpline aria-hidden className="size-4" /> : <Table2 aria-hidden className="size-4" />}
    </Button>
  );
  return (
    <figure className="min-w-0">
      {asTable ? (
        table
      ) : (
        <TableInstead table={table}>
          <div ref={box} role="img" aria-label={label} data-chart className="min-w-0 overflow-hidden" style={{ height }}>
            <Suspense fallback={<Skeleton className="h-full w-full" />}>{width > 0 && draw(width)}</Suspense>
          </div>
        </TableInstead>
      )}
      {(legend || !slot) && (
        <figcaption className="mt-3 flex items-start justify-between gap-3">
          <div className="min-w-0 flex-1">{!asTable && legend}</div>
          {!slot && turn}
        </figcaption>
      )}
      {slot && createPortal(turn, slot)}
    </figure>
  );
}

interface LegendProps {
  items: readonly { key: string; name: string; colour: string; dashed?: boolean | undefined }[];
  hidden?: ReadonlySet<string>;
  onToggle?: (key: string) => void;
}

/** Names of the colours; where lines can be hidden, a press does. */
function Legend({ items, hidden, onToggle }: LegendProps) {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1.5 text-xs">
      {items.map(({ key, name, colour, dashed }) => {
        const off = hidden?.has(key) ?? false;
        const mark = (
          <>
            <span
              aria-hidden
              className={cx('h-0 w-4 shrink-0 border-t-2', dashed && 'border-dashed')}
              style={{ borderColor: colour, opacity: off ? 0.3 : 1 }}
            />
            <span className={cx('max-w-48 truncate', off ? 'text-ink-3 line-through' : 'text-ink-2')} title={name}>
              {name}
            </span>
          </>
        );
        return (
          <li key={key} className="min-w-0">
            {onToggle ? (
              <button type="button" aria-pressed={!off} onClick={() => onToggle(key)} className="flex max-w-full items-center gap-1.5 rounded py-0.5">
                {mark}
              </button>
            ) : (
              <span className="flex items-center gap-1.5 py-0.5">{mark}</span>
            )}
          </li>
        );
      })}
    </ul>
  );
}

export interface TimeChartProps extends Omit<TimePlotProps, 'width' | 'height'> {
  label: string;
  height?: number;
  /** Of the axis, where the bubble and the table say it longer. */
  exact?: (value: number) => string;
}

/** Lines over time. A moment without a value breaks its line; a single point is a dot. */
export function TimeChart({ label, height = 240, exact, ...plot }: TimeChartProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const { rows, lines, step, band } = plot;
  const text = exact ?? plot.format;
  const toggle = (key: string) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };
  const cell = (value: number | null | undefined) => (typeof value === 'number' ? text(value) : '–');
  const view = {
    columns: ['Time', ...lines.map(({ name }) => name), ...(band ? [`${band.name}, low`, `${band.name}, high`] : [])],
    rows: rows.map((row) => [
      momentLabel(row.t, step),
      ...lines.map(({ key }) => cell(row[key])),
      ...(band ? [cell(row[band.low]), cell(row[band.high])] : []),
    ]),
  };
  const shown = lines.filter(({ key }) => !hidden.has(key));
  const many = lines.length > 1;
  return (
    <Chart
      label={label}
      view={view}
      height={height}
      legend={(many || band) && <Legend items={[...lines, ...(band ? [{ ...band, key: ' band' }] : [])]} {...(many && !band ? { hidden, onToggle: toggle } : {})} />}
      draw={(width) => <TimePlot {...plot} lines={shown} width={width} height={height} />}
    />
  );
}

interface ShareChartProps {
  label: string;
  slices: readonly Slice[];
  format: (value: number) => string;
  /** Under the sum in the middle. */
  whole: string;
}

const kPieSize = 184;

/** Parts of a whole; the list beside it is its table. */
export function ShareChart({ label, slices, format, whole }: ShareChartProps) {
  const all = slices.reduce((sum, { value }) => sum + value, 0);
  return (
    <div className="flex flex-wrap items-center justify-center gap-x-8 gap-y-5">
      <div role="img" aria-label={label} data-chart className="shrink-0" style={{ width: kPieSize, height: kPieSize }}>
        <TableInstead table={null}>
          <Suspense fallback={<Skeleton className="size-full rounded-full" />}>
            <SharePlot size={kPieSize} slices={slices} format={format}>
              <span>
                <span className="block text-lg leading-6 font-semibold text-ink tabular-nums">{format(all)}</span>
                <span className="block text-xs text-ink-3">{whole}</span>
              </span>
            </SharePlot>
          </Suspense>
        </TableInstead>
      </div>
      <ul aria-label={label} className="min-w-0 flex-1 basis-72 space-y-2 text-sm">
        {slices.map(({ name, value, colour }) => (
          <li key={name} className="flex items-center gap-2.5">
            <span aria-hidden className="size-2.5 shrink-0 rounded-full" style={{ background: colour }} />
            <span className="min-w-0 flex-1 truncate text-ink" title={name}>
              {name}
            </span>
            <span className="text-ink tabular-nums">{format(value)}</span>
            <span className="w-12 text-right text-xs text-ink-3 tabular-nums">{all > 0 ? `${((value / all) * 100).toFixed(1)}%` : '–'}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface BarsChartProps extends Omit<BarsPlotProps, 'width' | 'height'> {
  label: string;
  height?: number;
  columns: readonly [string, string];
}

export function BarsChart({ label, height = 220, columns, ...plot }: BarsChartProps) {
  const rows = plot.bars.map(({ name, value, text }) => [name, text ? `${plot.format(value)} · ${text}` : plot.format(value)]);
  return <Chart label={label} view={{ columns, rows }} height={height} draw={(width) => <BarsPlot {...plot} width={width} height={height} />} />;
}

interface DotsChartProps extends Omit<DotsPlotProps, 'width' | 'height'> {
  label: string;
  height?: number;
  dotName: string;
}

export function DotsChart({ label, height = 280, dotName, ...plot }: DotsChartProps) {
  const { dots, xFormat, yFormat, xName, yName } = plot;
  const view = { columns: [dotName, xName, yName], rows: dots.map(({ name, x, y }) => [name, xFormat(x), yFormat(y)]) };
  return (
    <Chart
      label={label}
      view={view}
      height={height}
      legend={<Legend items={dots.map(({ name, colour }) => ({ key: name, name, colour }))} />}
      draw={(width) => <DotsPlot {...plot} width={width} height={height} />}
    />
  );
}

export type { Dot, PlotLine, Row, Slice };
