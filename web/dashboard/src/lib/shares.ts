/** The parts of a whole, largest first, cut to what can be told apart. Pure. */
import { colourAt, kRest } from '../charts/colours';

export interface Part {
  name: string;
  value: number;
  colour: string;
}

/** The `most` largest; what is left is one part. Parts of nothing are left out. */
export function partsOf(amounts: readonly { name: string; value: number }[], most: number): Part[] {
  const sorted = amounts.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value || a.name.localeCompare(b.name));
  const cut = sorted.length <= most + 1 ? sorted.length : most;
  const parts = sorted.slice(0, cut).map((part, place) => ({ ...part, colour: part.name === 'other' ? kRest : colourAt(place) }));
  const rest = sorted.slice(cut);
  if (rest.length > 0) parts.push({ name: `${rest.length} others`, value: rest.reduce((sum, { value }) => sum + value, 0), colour: kRest });
  return parts;
}
