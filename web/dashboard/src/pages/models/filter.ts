import type { Schemas } from '../../api/client';

/** Empty members let everything through. */
export interface Filter {
  text: string;
  provider: string;
  capability: string;
  availability: string;
}

export const kNoFilter: Filter = { text: '', provider: '', capability: '', availability: '' };

/** Every word of the text must stand in the name, the provider or the description. */
export function matches(model: Schemas['Model'], filter: Filter): boolean {
  const haystack = `${model.name} ${model.provider} ${model.description}`.toLowerCase();
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (
    words.every((word) => haystack.includes(word)) &&
    (!filter.provider || model.provider === filter.provider) &&
    (!filter.availability || model.availability === filter.availability) &&
    (!filter.capability || (model.supports as readonly string[]).includes(filter.capability))
  );
}
