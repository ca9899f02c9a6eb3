/**
 * Where the nodes of a small graph are drawn. Pure, and the same for the same graph.
 * Forces after Fruchterman and Reingold, "Graph Drawing by Force-directed Placement" (1991): nodes push each other away,
 * edges pull, and what may still move shrinks with every round.
 */
export interface DrawnNode {
  id: string;
  name: string;
  type: string;
}
export interface DrawnEdge {
  from: string;
  to: string;
  type: string;
  weight: number;
  /** Drawn dashed where it does not hold. */
  holds: boolean;
}
export interface Drawing {
  nodes: DrawnNode[];
  edges: DrawnEdge[];
}
export interface Point {
  x: number;
  y: number;
}

/** More would be a tangle; the table has them all. */
export const kMostNodes = 300;
const kRounds = 220;
const kGoldenAngle = Math.PI * (3 - Math.sqrt(5));

/** Leaves out nodes beyond the limit, and edges to them: the lightest go. The first node stays. */
export function trimmed({ nodes, edges }: Drawing, most = kMostNodes): Drawing {
  if (nodes.length <= most) return { nodes, edges };
  const weights = new Map<string, number>();
  for (const { from, to, weight } of edges) for (const id of [from, to]) weights.set(id, Math.max(weights.get(id) ?? 0, weight));
  const [first, ...rest] = nodes;
  const heaviest = rest.sort((a, b) => (weights.get(b.id) ?? 0) - (weights.get(a.id) ?? 0)).slice(0, most - 1);
  const kept = first ? [first, ...heaviest] : heaviest;
  const ids = new Set(kept.map(({ id }) => id));
  return { nodes: kept, edges: edges.filter(({ from, to }) => ids.has(from) && ids.has(to)) };
}

/** A place for each node, in the nodes' order, within `width` × `height` less `margin` on each side. */
export function placesOf({ nodes, edges }: Drawing, width: number, height: number, margin: number): Point[] {
  const number = nodes.length;
  if (number === 0) return [];
  if (number === 1) return [{ x: width / 2, y: height / 2 }];
  const at = new Map(nodes.map(({ id }, index) => [id, index]));
  const pairs = edges.flatMap(({ from, to }) => {
    const [a, b] = [at.get(from), at.get(to)];
    return a === undefined || b === undefined || a === b ? [] : [[a, b] as const];
  });
  // A spiral around the first node: no two begin in one place.
  const places = nodes.map((_, index) => ({ x: Math.sqrt(index) * Math.cos(index * kGoldenAngle), y: Math.sqrt(index) * Math.sin(index * kGoldenAngle) }));
  const moves = nodes.map(() => ({ x: 0, y: 0 }));
  for (let round = 0; round < kRounds; round += 1) {
    for (const move of moves) move.x = move.y = 0;
    for (let a = 0; a < number; a += 1) {
      for (let b = a + 1; b < number; b += 1) {
        const [dx, dy] = [places[a]!.x - places[b]!.x, places[a]!.y - places[b]!.y];
        const push = 1 / Math.max(dx * dx + dy * dy, 0.01);
        moves[a]!.x += dx * push;
        moves[a]!.y += dy * push;
        moves[b]!.x -= dx * push;
        moves[b]!.y -= dy * push;
      }
    }
    for (const [a, b] of pairs) {
      const [dx, dy] = [places[a]!.x - places[b]!.x, places[a]!.y - places[b]!.y];
      const pull = Math.hypot(dx, dy) * 0.5;
      moves[a]!.x -= dx * pull;
      moves[a]!.y -= dy * pull;
      moves[b]!.x += dx * pull;
      moves[b]!.y += dy * pull;
    }
    const most = 0.6 * (1 - round / kRounds) + 0.01;
    for (let index = 0; index < number; index += 1) {
      const [place, move] = [places[index]!, moves[index]!];
      // Parts that no edge joins would fly apart.
      move.x -= place.x * 0.04;
      move.y -= place.y * 0.04;
      const length = Math.hypot(move.x, move.y);
      const step = length > most ? most / length : 1;
      place.x += move.x * step;
      place.y += move.y * step;
    }
  }
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scaled = (value: number, least: number, most: number, room: number) => margin + (most - least < 1e-6 ? 0.5 : (value - least) / (most - least)) * (room - 2 * margin);
  return places.map(({ x, y }) => ({ x: scaled(x, left, right, width), y: scaled(y, top, bottom, height) }));
}

/** The node that an arrow key leads to from `from`: the nearest within a quarter of the way round; undefined: none. */
export function nodeTowards(places: readonly Point[], from: number, key: string): number | undefined {
  const way = { ArrowRight: { x: 1, y: 0 }, ArrowLeft: { x: -1, y: 0 }, ArrowDown: { x: 0, y: 1 }, ArrowUp: { x: 0, y: -1 } }[key];
  const start = places[from];
  if (!way || !start) return undefined;
  let best: number | undefined;
  let least = Infinity;
  places.forEach(({ x, y }, index) => {
    const [dx, dy] = [x - start.x, y - start.y];
    const along = dx * way.x + dy * way.y;
    const aside = Math.abs(dx * way.y - dy * way.x);
    if (index === from || along <= 0 || aside > along) return;
    const far = along + 2 * aside;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
