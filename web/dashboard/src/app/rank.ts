interface Named {
  label: string;
  group: string;
  words?: string;
}

/**
 * The items in which every word of `text` begins a word, those first whose label does; without text all of them. The order
 * of the items stays.
 */
export function rank<T extends Named>(items: readonly T[], text: string): T[] {
  const asked = wordsOf(text);
  const begins = (words: readonly string[]) => asked.every((part) => words.some((word) => word.startsWith(part)));
  const inLabel = items.filter(({ label }) => begins(wordsOf(label)));
  const elsewhere = items.filter((item) => !inLabel.includes(item) && begins(wordsOf(`${item.label} ${item.group} ${item.words ?? ''}`)));
  return [...inLabel, ...elsewhere];
}

const wordsOf = (text: string): string[] => text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
