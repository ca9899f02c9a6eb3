/** From one amount to another by steps, as bars. Pure. */

export interface Step {
  name: string;
  /** Of a `total`: what stands there; else what is taken away (positive) or added (negative). */
  amount: number;
  kind: 'total' | 'saving';
}

export interface FallingBar extends Step {
  /** Where the bar begins and how long it is, in percent of the widest. */
  left: number;
  width: number;
}

/** Each saving hangs where the one before it ended. */
export function fallingBars(steps: readonly Step[]): FallingBar[] {
  let level = 0;
  const spans = steps.map((step) => {
    if (step.kind === 'total') {
      level = step.amount;
      return [0, step.amount] as const;
    }
    const before = level;
    level -= step.amount;
    return [Math.min(before, level), Math.max(before, level)] as const;
  });
  const lowest = Math.min(0, ...spans.map(([from]) => from));
  const widest = Math.max(...spans.map(([, to]) => to), 0) - lowest;
  return steps.map((step, i) => {
    const [from, to] = spans[i] ?? [0, 0];
    if (!(widest > 0)) return { ...step, left: 0, width: 0 };
    return { ...step, left: ((from - lowest) / widest) * 100, width: ((to - from) / widest) * 100 };
  });
}
