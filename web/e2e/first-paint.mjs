/**
 * How soon the overview stands there: `node e2e/first-paint.mjs [runs]`. The largest paint (what Lighthouse calls LCP) of a
 * first visit with a CPU slowed four times, over loopback, with a month of traffic. A measurement, not a test.
 */
import { run_asahi, start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything, temp_folder } from '../../tests/e2e/support/processes.mjs';
import { kDesktop, launch, new_page } from './browser.mjs';

const kRuns = Number(process.argv[2] ?? 5);
const kSlower = 4;

const folder = temp_folder('paint');
const filled = await run_asahi(['demo', '--events', '20000'], { folder, timeout_ms: 120_000 });
if (filled.code !== 0) throw new Error(filled.stderr);
const gateway = await start_gateway({ folder, env: { ASAHI_MOCK: 'true' } });
const browser = await launch();
const seen = [];
for (let i = 0; i < kRuns; i += 1) {
  const page = await new_page(browser, gateway.url, [], { viewport: kDesktop });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: kSlower });
  await page.addInitScript(() => {
    window.paints = [];
    new PerformanceObserver((list) => window.paints.push(...list.getEntries().map(({ startTime, size }) => ({ startTime, size })))).observe({ type: 'largest-contentful-paint', buffered: true });
  });
  // The dashboard's own address, wherever a landing page stands before it.
  await page.goto(`${gateway.url}/#/`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForTimeout(3_000);
  const { largest, first } = await page.evaluate(() => ({
    largest: window.paints.at(-1)?.startTime ?? NaN,
    first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
  }));
  seen.push({ largest, first });
  await page.context().close();
}
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
console.log(`CPU slowed ${kSlower} times, ${kRuns} first visits: first paint ${median(seen.map(({ first }) => first)).toFixed(0)} ms, largest ${median(seen.map(({ largest }) => largest)).toFixed(0)} ms (medians)`);
await browser.close();
await stop_everything();
