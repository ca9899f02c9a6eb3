import { expect, test } from 'vitest';

import { nodeTowards, placesOf, trimmed, type Drawing } from './graph-layout';

const node = (id: string) => ({ id, name: id, type: 'n' });
const edge = (from: string, to: string, weight = 1) => ({ from, to, type: 'knows', weight, holds: true });
const star = (leaves: number): Drawing => ({
  nodes: [node('hub'), ...Array.from({ length: leaves }, (_, i) => node(`leaf-${i}`))],
  edges: Array.from({ length: leaves }, (_, i) => edge('hub', `leaf-${i}`, i)),
});

test('every node has a place of its own within the frame, the same each time', () => {
  for (const leaves of [0, 1, 2, 7, 60]) {
    const drawing = star(leaves);
    const places = placesOf(drawing, 800, 500, 40);
    expect(places).toHaveLength(leaves + 1);
    expect(placesOf(drawing, 800, 500, 40)).toEqual(places);
    for (const { x, y } of places) {
      expect(x).toBeGreaterThanOrEqual(40 - 1e-6);
      expect(x).toBeLessThanOrEqual(760 + 1e-6);
      expect(y).toBeGreaterThanOrEqual(40 - 1e-6);
      expect(y).toBeLessThanOrEqual(460 + 1e-6);
    }
    const apart = places.flatMap((a, i) => places.slice(i + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));
    if (leaves <= 7) for (const distance of apart) expect(distance).toBeGreaterThan(60);
    else expect(Math.min(...apart)).toBeGreaterThan(5);
  }
  expect(placesOf({ nodes: [], edges: [] }, 800, 500, 40)).toEqual([]);
});

test('who is joined stands nearer than who is not', () => {
  const drawing: Drawing = { nodes: ['a', 'b', 'c', 'd'].map(node), edges: [edge('a', 'b'), edge('c', 'd')] };
  const [a, b, c] = placesOf(drawing, 500, 500, 0);
  expect(Math.hypot(a!.x - b!.x, a!.y - b!.y)).toBeLessThan(Math.hypot(a!.x - c!.x, a!.y - c!.y));
});

test('beyond the limit the lightest are left out, and the first node stays', () => {
  const { nodes, edges } = trimmed(star(10), 4);
  expect(nodes.map(({ id }) => id)).toEqual(['hub', 'leaf-9', 'leaf-8', 'leaf-7']);
  expect(edges).toHaveLength(3);
});

test('300 nodes are placed quickly', () => {
  const begun = performance.now();
  placesOf(star(299), 800, 500, 40);
  expect(performance.now() - begun).toBeLessThan(2_000);
});

test('arrow keys lead to the nearest node that way', () => {
  const places = [{ x: 0, y: 0 }, { x: 10, y: 1 }, { x: 30, y: 0 }, { x: 0, y: 20 }, { x: -5, y: -50 }];
  expect(nodeTowards(places, 0, 'ArrowRight')).toBe(1);
  expect(nodeTowards(places, 1, 'ArrowRight')).toBe(2);
  expect(nodeTowards(places, 0, 'ArrowDown')).toBe(3);
  expect(nodeTowards(places, 0, 'ArrowUp')).toBe(4);
  expect(nodeTowards(places, 2, 'ArrowRight')).toBeUndefined();
  expect(nodeTowards(places, 0, 'Enter')).toBeUndefined();
});
