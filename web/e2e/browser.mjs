/**
 * Chromium for the tests of the dashboard. ASAHI_CHROMIUM names the browser, ASAHI_SCREENSHOTS=<folder> keeps pictures.
 * ASAHI_PAGES=<folder> shows the pages of that folder (dashboard/dist) in place of those in the binary, under the
 * binary's own headers; without it the binary must have been built after the dashboard.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

import { find_program } from '../../tests/e2e/support/processes.mjs';
import { until } from '../../tests/e2e/support/wait.mjs';

export const kBrowser = process.env.ASAHI_CHROMIUM ?? find_program('chromium');
export const kPictures = process.env.ASAHI_SCREENSHOTS;
export const kLimitMs = 10_000 * Number(process.env.ASAHI_TIME_FACTOR ?? 1);
export const kDesktop = { width: 1440, height: 900 };
export const kPhone = { viewport: { width: 320, height: 700 }, colorScheme: 'dark', reducedMotion: 'reduce' };

const kPages = process.env.ASAHI_PAGES;
const kTypes = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };

export async function launch() {
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath: kBrowser, args: ['--no-sandbox', '--disable-gpu'] });
}

async function show_pages_of_folder(context, base) {
  const headers = Object.fromEntries((await fetch(`${base}/`)).headers);
  delete headers['content-length'];
  await context.route(
    (url) => url.origin === base && (/^\/(index\.html)?$/.test(url.pathname) || url.pathname.startsWith('/assets/')),
    (route) => {
      const path = new URL(route.request().url()).pathname;
      const file = path === '/' ? 'index.html' : path.slice(1);
      return route.fulfill({ body: readFileSync(join(kPages, file)), headers: { ...headers, 'content-type': kTypes[extname(file)] } });
    },
  );
}

/**
 * A page in a context of its own. Whatever it complains about (an answer of 400 and above, too, by its address), or asks of
 * other hosts than `base`, goes to `complaints`.
 * ahead: lets it fetch the programs of the other pages once it has nothing to do; where that is not what is tested it only
 * keeps the processor from the test.
 */
export async function new_page(browser, base, complaints, { ahead = false, ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-US', timezoneId: 'UTC', acceptDownloads: true, ...options });
  context.setDefaultTimeout(kLimitMs);
  if (kPages) await show_pages_of_folder(context, base);
  if (!ahead) await context.addInitScript(() => (window.requestIdleCallback = () => 0));
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const text = message.text();
    complaints.push(/status of \d/.test(text) ? `${text}: ${message.location().url}` : text);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith('blob:')) complaints.push(`asks another host: ${request.url()}`);
  });
  return page;
}

/** Shows an address of the dashboard, loaded anew. Behind an open panel the heading is there for the eye only. */
export async function open_page(page, base, path) {
  await page.goto('about:blank');
  await page.goto(`${base}/#/${path}`);
  await page.locator('h1').waitFor();
  await settled(page, path);
}

/** While `run` is under way, `answer` stands in for what the server says to `url`. */
export async function with_answer(page, url, answer, run) {
  await page.context().route(url, answer);
  try {
    await run();
  } finally {
    await page.context().unroute(url);
  }
}

/** An answer: the server fails. */
export const failing_with = (message) => (route) => route.fulfill({ status: 500, json: { error: 'internal_server_error', message, details: {} } });

/** Waits until nothing loads any more and every chart is drawn. */
export async function settled(page, what = page.url()) {
  await until(async () => (await page.getByRole('status', { name: /^Loading/ }).count()) === 0, { what: `${what} to have its data`, timeout_ms: 2 * kLimitMs });
  // The charts come in files of their own.
  await until(() => page.evaluate(() => [...document.querySelectorAll('[data-chart]')].every((box) => box.querySelector('svg.recharts-surface'))), {
    what: `the charts of ${what}`,
    timeout_ms: 2 * kLimitMs,
  });
}

export async function save_picture(page, name) {
  if (!kPictures) return;
  mkdirSync(kPictures, { recursive: true });
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(kPictures, `${name}.png`), animations: 'disabled' });
}
