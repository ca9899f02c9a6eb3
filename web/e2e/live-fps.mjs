/**
 * How smoothly the live view runs while requests pour in: `node e2e/live-fps.mjs [requests per second] [seconds]`. Prints
 * frames per second and the longest frame of the page. A measurement, not a test: it wants a machine that does nothing else.
 */
import { Agent, request } from 'node:http';

import { start_gateway } from '../../tests/e2e/support/gateway.mjs';
import { stop_everything } from '../../tests/e2e/support/processes.mjs';
import { kDesktop, launch, new_page } from './browser.mjs';

const kRate = Number(process.argv[2] ?? 1000);
const kSeconds = Number(process.argv[3] ?? 10);
const kTickMs = 20;

const gateway = await start_gateway({ env: { ASAHI_MOCK: 'true' } });
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
let answered = 0;
function ask(prompt) {
  const sent = request(`${gateway.url}/infer`, { method: 'POST', agent, headers: { 'content-type': 'application/json' } }, (reply) => {
    reply.resume();
    reply.on('end', () => (answered += 1));
  });
  sent.on('error', () => undefined);
  sent.end(JSON.stringify({ prompt }));
}

const browser = await launch();
const page = await new_page(browser, gateway.url, [], { viewport: kDesktop });
await page.goto(`${gateway.url}/#/live`);
await page.getByTestId('traffic').waitFor();
await page.waitForTimeout(1_500);

/** Frames of the next seconds: how many a second, and the longest, ms. */
const frames = (seconds) =>
  page.evaluate(
    (ms) =>
      new Promise((resolve) => {
        const times = [];
        const step = (now) => {
          times.push(now);
          if (now - times[0] < ms) requestAnimationFrame(step);
          else {
            const gaps = times.slice(1).map((time, i) => time - times[i]);
            gaps.sort((a, b) => a - b);
            const at = (part) => gaps[Math.min(gaps.length - 1, Math.floor(part * gaps.length))];
            resolve({ fps: (gaps.length * 1000) / (times.at(-1) - times[0]), p95: at(0.95), p99: at(0.99), longest: gaps.at(-1) });
          }
        };
        requestAnimationFrame(step);
      }),
    seconds * 1000,
  );
const say = (what, { fps, p95, p99, longest }) => console.log(`${what.padEnd(24)} ${fps.toFixed(1)} fps, frames p95 ${p95.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${longest.toFixed(1)} ms`);

say('idle', await frames(3));
const begun = performance.now();
let sent = 0;
const pump = setInterval(() => {
  const due = Math.floor(((performance.now() - begun) / 1000) * kRate);
  for (; sent < due; sent += 1) ask(`Question ${sent % 500}`);
}, kTickMs);
await page.waitForTimeout(1_000);
const before = answered;
const at = performance.now();
const busy = await frames(kSeconds);
const rate = ((answered - before) * 1000) / (performance.now() - at);
clearInterval(pump);
say(`${rate.toFixed(0)} requests/s`, busy);
console.log((await page.getByTestId('counters').innerText()).replaceAll('\n', ' · '));
await browser.close();
agent.destroy();
await stop_everything();
