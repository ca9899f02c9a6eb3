import { Button, cx } from '@asahi/ui';
import { Minus, Plus } from 'lucide-react';
import { useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';

import { colourAt } from '../../../charts/colours';
import { useWidth } from '../../../charts/use-width';
import { nodeTowards, placesOf, type Drawing as Graph } from '../../../lib/graph-layout';
import { relation } from '../../../lib/graph-search';

const kHeight = 400;
const kMargin = 48;
const kUsualWidth = 760;
const kMostLabels = 40;
const kMostLetters = 22;
const kZooms = [1, 1.5, 2, 3] as const;

const short = (text: string): string => (text.length > kMostLetters ? `${text.slice(0, kMostLetters - 1)}…` : text);

interface DrawingProps {
  graph: Graph;
  /** Whose neighbours are drawn as well. */
  opened: ReadonlySet<string>;
  onOpen: (id: string) => void;
  onExpand: (id: string) => void;
}

/** Nodes and edges; arrow keys walk, Enter goes to a node, + draws what is around it. The tables say the same. */
export function Drawing({ graph, opened, onOpen, onExpand }: DrawingProps) {
  const [at, setAt] = useState(0);
  const [zoom, setZoom] = useState(0);
  const help = useId();
  const svg = useRef<SVGSVGElement>(null);
  const [frame, measured] = useWidth();
  const scale = kZooms[zoom] ?? 1;
  const [width, height] = [(measured || kUsualWidth) * scale, kHeight * scale];
  // Laid out once in a square; another width or zoom only stretches it.
  const square = useMemo(() => placesOf(graph, 1, 1, 0), [graph]);
  const places = square.map(({ x, y }) => ({ x: kMargin + x * (width - 2 * kMargin), y: kMargin / 2 + y * (height - 1.5 * kMargin) }));
  const types = [...new Set(graph.nodes.map(({ type }) => type))];
  const colourOf = (type: string) => colourAt(types.indexOf(type));
  const index = new Map(graph.nodes.map(({ id }, number) => [id, number]));
  const weights = graph.edges.map(({ weight }) => weight);
  const [lightest, heaviest] = [Math.min(...weights), Math.max(...weights)];
  const thickness = (weight: number) => 1.25 + (heaviest > lightest ? 2.5 * Math.sqrt((weight - lightest) / (heaviest - lightest)) : 0);
  const labelled = (number: number) => graph.nodes.length <= kMostLabels || number === 0 || number === at;
  const steer = (number: number) => (event: KeyboardEvent) => {
    const next = nodeTowards(places, number, event.key);
    const id = graph.nodes[number]?.id;
    if (next !== undefined) svg.current?.querySelector<SVGGElement>(`[data-node="${next}"]`)?.focus();
    else if (event.key === 'Enter' && id) onOpen(id);
    else if (event.key === '+' && id) onExpand(id);
    else if (!event.key.startsWith('Arrow')) return;
    event.preventDefault();
  };
  return (
    <div>
      <div ref={frame} className="overflow-auto rounded-lg border border-line bg-sunken/40">
        <svg ref={svg} role="group" aria-label="Drawing of the neighbours" aria-describedby={help} width={width} height={height} className="block">
          {graph.edges.map(({ from, to, type, weight, holds }) => {
            const [a, b] = [places[index.get(from) ?? -1], places[index.get(to) ?? -1]];
            if (!a || !b) return null;
            const near = index.get(from) === at || index.get(to) === at;
            return (
              <g key={`${from} ${type} ${to} ${holds}`} aria-hidden>
                <line
                  x1={a.x}
                  y1={a.y}
                  x2={b.x}
                  y2={b.y}
                  data-holds={holds}
                  stroke={near ? 'var(--ink-3)' : 'var(--line-strong)'}
                  strokeWidth={thickness(weight)}
                  strokeDasharray={holds ? undefined : '4 5'}
                />
                {graph.edges.length <= kMostLabels && (
                  <text x={(a.x + b.x) / 2} y={(a.y + b.y) / 2 - 4} textAnchor="middle" className="fill-ink-2 text-[10px]" style={{ paintOrder: 'stroke' }} stroke="var(--panel)" strokeWidth={3}>
                    {relation(type)}
                  </text>
                )}
              </g>
            );
          })}
          {graph.nodes.map(({ id, name, type }, number) => {
            const place = places[number];
            if (!place) return null;
            const centre = number === 0;
            return (
              <g
                key={id}
                data-node={number}
                role="button"
                tabIndex={number === at ? 0 : -1}
                aria-label={`${name}, ${type}`}
                onFocus={() => setAt(number)}
                onKeyDown={steer(number)}
                onClick={() => (centre ? setAt(0) : onOpen(id))}
                transform={`translate(${place.x} ${place.y})`}
                className="cursor-pointer outline-none [&:focus-visible>circle]:stroke-accent"
              >
                <title>{`${name} (${id})`}</title>
                <circle r={centre ? 13 : opened.has(id) ? 11 : 9} fill={colourOf(type)} stroke={number === at ? 'var(--ink)' : 'var(--panel)'} strokeWidth={number === at ? 3 : 2} />
                {labelled(number) && (
                  <text y={centre ? 29 : 24} textAnchor="middle" className={cx('fill-ink text-xs', centre && 'font-semibold')} style={{ paintOrder: 'stroke' }} stroke="var(--panel)" strokeWidth={4}>
                    {short(name)}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-2 text-xs text-ink-2">
        <ul aria-label="Colours" className="flex flex-wrap gap-x-4 gap-y-1">
          {types.map((type) => (
            <li key={type} className="flex items-center gap-1.5">
              <span aria-hidden className="size-2.5 rounded-full" style={{ background: colourOf(type) }} />
              {type}
            </li>
          ))}
        </ul>
        <span className="ml-auto flex items-center gap-1">
          <Button size="icon" look="ghost" className="size-8" aria-label="Smaller" disabled={zoom === 0} onClick={() => setZoom(zoom - 1)}>
            <Minus aria-hidden className="size-4" />
          </Button>
          <span className="w-12 text-center tabular-nums">{scale * 100} %</span>
          <Button size="icon" look="ghost" className="size-8" aria-label="Larger" disabled={zoom === kZooms.length - 1} onClick={() => setZoom(zoom + 1)}>
            <Plus aria-hidden className="size-4" />
          </Button>
        </span>
      </div>
      <p id={help} className="mt-1 text-xs text-ink-3">
        Thicker: said more often. Dashed: does not hold. Arrow keys walk from node to node, Enter goes there, + draws what is around it.
      </p>
    </div>
  );
}
