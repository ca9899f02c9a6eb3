// Compares a running server's /openapi.json with its routes: node scripts/check_openapi.mjs BASE_URL ROUTES_FILE
// ROUTES_FILE holds what `asahi routes` prints, one "METHOD /pattern" per line. Exits 1 with the differences.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// The dashboard's own files are no API.
const notApi = new Set(['GET /', 'GET /favicon.svg', 'GET /favicon.ico', 'GET /assets/{path}']);
const verbs = ['get', 'put', 'post', 'delete', 'patch', 'options', 'head', 'trace'];

/** "{id...}" (the rest of a path) is "{id}" in OpenAPI, which knows only one kind. */
const plain = (pattern) => pattern.replace(/\{([^}.]+)\.\.\.\}/g, '{$1}');

export function routesOf(text) {
  const routes = new Set();
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Z]+)\s+(\/\S*)\s*$/.exec(line);
    if (match) routes.add(`${match[1]} ${plain(match[2])}`);
  }
  return routes;
}

function follow(api, node) {
  for (let hops = 0; node?.$ref !== undefined; ++hops) {
    if (hops > 10 || !node.$ref.startsWith('#/')) throw new Error(`cannot follow ${node.$ref}`);
    const keys = node.$ref.slice(2).split('/').map((key) => decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~'));
    const target = keys.reduce((at, key) => at?.[key], api);
    if (target === undefined) throw new Error(`${node.$ref} leads nowhere`);
    node = target;
  }
  return node;
}

export function operationsOf(api) {
  const operations = new Set();
  for (const [path, reference] of Object.entries(api.paths)) {
    const item = follow(api, reference);
    for (const verb of verbs) if (item[verb]) operations.add(`${verb.toUpperCase()} ${plain(path)}`);
  }
  return operations;
}

/** Faults inside the document: references that lead nowhere, path parameters without description. */
export function faultsOf(api) {
  const faults = [];
  const walk = (node) => {
    if (node === null || typeof node !== 'object') return;
    if (typeof node.$ref === 'string') {
      try { follow(api, node); } catch (error) { faults.push(error.message); }
    }
    Object.values(node).forEach(walk);
  };
  walk(api);
  for (const [path, reference] of Object.entries(api.paths)) {
    const item = follow(api, reference);
    for (const verb of verbs) {
      if (!item[verb]) continue;
      const parameters = [...(item.parameters ?? []), ...(item[verb].parameters ?? [])].map((parameter) => follow(api, parameter));
      const named = new Set(parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name));
      for (const [, name] of path.matchAll(/\{([^}]+)\}/g)) {
        if (!named.has(name)) faults.push(`${verb.toUpperCase()} ${path}: parameter ${name} is not described`);
      }
      if (Object.keys(item[verb].responses ?? {}).length === 0) faults.push(`${verb.toUpperCase()} ${path}: no replies are described`);
    }
  }
  return faults;
}

export function differences(api, routes) {
  const described = operationsOf(api);
  return [
    ...[...routes].filter((route) => !described.has(route) && !notApi.has(route)).map((route) => `served, not described: ${route}`),
    ...[...described].filter((route) => !routes.has(route)).map((route) => `described, not served: ${route}`),
    ...faultsOf(api),
  ].sort();
}

async function main([baseUrl, routesFile]) {
  if (!baseUrl || !routesFile) {
    console.error('use: node scripts/check_openapi.mjs BASE_URL ROUTES_FILE');
    return 2;
  }
  const routes = routesOf(readFileSync(routesFile, 'utf8'));
  if (routes.size === 0) {
    console.error(`${routesFile} holds no "METHOD /pattern" line`);
    return 1;
  }
  const reply = await fetch(new URL('/openapi.json', baseUrl), { signal: AbortSignal.timeout(10_000) });
  if (!reply.ok) {
    console.error(`GET /openapi.json answered ${reply.status}`);
    return 1;
  }
  const found = differences(await reply.json(), routes);
  for (const line of found) console.error(line);
  if (found.length === 0) console.log(`${routes.size} routes agree with /openapi.json`);
  return found.length === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).then((code) => { process.exitCode = code; }, (error) => { console.error(error.message); process.exitCode = 1; });
}
