/** Colours of series. The palette stands in styles.css, so that a theme changes it; the last colour is for “the rest”. */
const kColours = 7;
export const kRest = 'var(--chart-rest)';

export const colourAt = (place: number): string => (place < kColours ? `var(--chart-${place + 1})` : kRest);

/** What each of `names` is drawn in, in the order given: the same name has the same colour in every chart of a page. */
export function coloursOf(names: readonly string[]): ReadonlyMap<string, string> {
  const colours = new Map<string, string>();
  for (const name of names) if (name !== 'other' && !colours.has(name)) colours.set(name, colourAt(colours.size));
  colours.set('other', kRest);
  return colours;
}
