/** The settings of the configuration by section, and which of them a search finds. Pure. */
import type { Schemas } from '../api/client';

export type Setting = Schemas['SettingList']['settings'][number];

export interface Section {
  /** The beginning of the paths in it: their first elements. */
  name: string;
  settings: readonly Setting[];
  /** How many of them somebody set. */
  set: number;
}

/** The first `depth` elements of a path, fewer where the path is the setting itself. */
export function sectionOf(path: string, depth = 1): string {
  const elements = path.split('.');
  return elements.slice(0, Math.max(1, Math.min(depth, elements.length - 1))).join('.');
}

/** Whether every word of `text` stands in path, variable, description, value or origin, whatever its case. */
export function finds(setting: Setting, text: string): boolean {
  const { path, variable, help, value, origin } = setting;
  const whole = `${path} ${variable} ${help} ${value} ${origin}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => whole.includes(word));
}

/** Sections by name, those without a setting left out. */
export function sectionsOf(settings: readonly Setting[], depth = 1): Section[] {
  const byName = new Map<string, Setting[]>();
  for (const setting of settings) {
    const name = sectionOf(setting.path, depth);
    const section = byName.get(name);
    if (section) section.push(setting);
    else byName.set(name, [setting]);
  }
  return [...byName]
    .map(([name, found]) => ({ name, settings: found, set: found.filter(({ origin }) => origin !== 'default').length }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
