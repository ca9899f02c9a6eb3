import { useEffect, useRef } from 'react';

import { kSlotMs, kWindowMs, type LiveWindow, type Slot } from '../../lib/live';

const kHeight = 200;
const kAxis = 20;
/** Several slots share a bar, so that bars stay wide enough to see. */
const kBarMs = 500;
const kEaseMs = 250;

interface Colours {
  hit: string;
  miss: string;
  error: string;
  line: string;
  text: string;
}

function coloursNow(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { hit: of('--chart-3'), miss: of('--chart-2'), error: of('--bad'), line: of('--line'), text: of('--ink-3') };
}

interface Bar {
  hits: number;
  misses: number;
  errors: number;
}

function barsOf(slots: readonly Slot[]): Map<number, Bar> {
  const bars = new Map<number, Bar>();
  for (const { t, requests, hits, errors } of slots) {
    const place = Math.floor(t / kBarMs);
    const bar = bars.get(place) ?? { hits: 0, misses: 0, errors: 0 };
    bar.hits += hits;
    bar.errors += errors;
    bar.misses += Math.max(0, requests - hits - errors);
    bars.set(place, bar);
  }
  return bars;
}

const niceTop = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return ([1, 2, 5, 10].find((step) => value <= step * power) ?? 10) * power;
};

interface TrafficCanvasProps {
  window: LiveWindow;
  paused: boolean;
  /** Told on every frame; decides itself how often to do something about it. */
  onFrame: (time: number) => void;
}

/** The last minute, drawn once per frame whatever comes in: at most 120 bars on a canvas, nothing of it in React. */
export function TrafficCanvas({ window: live, paused, onFrame }: TrafficCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context) return;
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
    let colours = coloursNow();
    let width = 0;
    const fit = () => {
      const scale = window.devicePixelRatio || 1;
      width = element.clientWidth;
      element.width = Math.round(width * scale);
      element.height = Math.round(kHeight * scale);
      context.setTransform(scale, 0, 0, scale, 0, 0);
      colours = coloursNow();
    };
    fit();
    const sizes = new ResizeObserver(fit);
    sizes.observe(element);
    const themes = new MutationObserver(() => (colours = coloursNow()));
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });

    let top = 1;
    let last = 0;
    let frame = 0;
    const draw = (stamp: number) => {
      frame = requestAnimationFrame(draw);
      const now = Date.now();
      // Who does not want motion gets a picture a second.
      if (paused || (calm.matches && stamp - last < 1_000)) return;
      const passed = stamp - last;
      last = stamp;
      // A little behind, so that the newest bar does not grow under the eye.
      const time = live.serverTime(now) - 2 * kSlotMs;
      onFrame(time);
      const bars = barsOf(live.slots(time));
      let highest = 0;
      for (const { hits, misses, errors } of bars.values()) highest = Math.max(highest, hits + misses + errors);
      const wanted = niceTop(highest * (1000 / kBarMs)) / (1000 / kBarMs);
      top += (wanted - top) * Math.min(1, passed / kEaseMs);
      const plot = kHeight - kAxis;
      context.clearRect(0, 0, width, kHeight);
      context.font = '12px "Inter Variable", system-ui, sans-serif';
      context.textBaseline = 'middle';
      context.strokeStyle = colours.line;
      context.fillStyle = colours.text;
      context.lineWidth = 1;
      for (const part of [0, 0.5, 1]) {
        const y = Math.round(plot - part * (plot - 8)) + 0.5;
        context.beginPath();
        context.moveTo(0, y);
        context.lineTo(width, y);
        context.stroke();
        if (part > 0) context.fillText(`${Math.round(part * top * (1000 / kBarMs) * 10) / 10}/s`, 4, y + 9);
      }
      const perMs = width / kWindowMs;
      for (const seconds of [60, 45, 30, 15]) context.fillText(`−${seconds} s`, width - seconds * 1000 * perMs + (seconds === 60 ? 2 : -14), kHeight - 8);
      context.fillText('now', width - 26, kHeight - 8);
      const barWidth = Math.max(1, kBarMs * perMs - 1.5);
      for (const [place, { hits, misses, errors }] of bars) {
        const x = width - (time - place * kBarMs) * perMs;
        let y = plot;
        for (const [amount, colour] of [
          [hits, colours.hit],
          [misses, colours.miss],
          [errors, colours.error],
        ] as const) {
          if (amount === 0) continue;
          const height = Math.max(1, (amount / top) * (plot - 8));
          context.fillStyle = colour;
          context.fillRect(x, y - height, barWidth, height);
          y -= height;
        }
      }
    };
    frame = requestAnimationFrame(draw);
    return () => {
      cancelAnimationFrame(frame);
      sizes.disconnect();
      themes.disconnect();
    };
  }, [live, paused, onFrame]);
  return <canvas ref={canvas} role="img" aria-label="Requests of the last minute; the figures above say it in numbers" data-testid="traffic" className="block w-full" style={{ height: kHeight }} />;
}
