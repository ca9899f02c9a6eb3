import { describe, expect, it } from 'vitest';

import { finds, sectionOf, sectionsOf, type Setting } from './settings';

const setting = (path: string, more: Partial<Setting> = {}): Setting => ({ path, value: '30', origin: 'default', variable: `ASAHI_${path.replaceAll('.', '_').toUpperCase()}`, help: '', ...more });

describe('sections of settings', () => {
  it('are named by the first element of the path, or as many as are wanted', () => {
    expect(sectionOf('cache.tier2.enabled')).toBe('cache');
    expect(sectionOf('tasks.coding.cache_ttl_hours', 2)).toBe('tasks.coding');
    expect(sectionOf('tasks.limit', 2)).toBe('tasks');
    expect(sectionOf('workers')).toBe('workers');
  });
  it('stand in their order, with what was set counted', () => {
    const sections = sectionsOf([setting('redis.url', { origin: 'environment REDIS_URL' }), setting('api.port'), setting('redis.pool')]);
    expect(sections.map(({ name, settings, set }) => [name, settings.length, set])).toEqual([
      ['api', 1, 0],
      ['redis', 2, 1],
    ]);
    expect(sectionsOf([])).toEqual([]);
  });
});

describe('a search', () => {
  const port = setting('api.port', { value: '8000', help: 'TCP port to listen on' });
  it('looks at path, variable, description, value and origin', () => {
    for (const text of ['api.p', 'asahi_api', 'LISTEN', '8000', 'default', '']) expect(finds(port, text)).toBe(true);
    expect(finds(port, '9000')).toBe(false);
  });
  it('wants every word, in any order', () => {
    expect(finds(port, ' port  8000 ')).toBe(true);
    expect(finds(port, 'port 9000')).toBe(false);
  });
});
