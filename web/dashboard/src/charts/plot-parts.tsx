/** What the plots have in common. */
export const axis = { tick: { fill: 'var(--ink-3)', fontSize: 12 }, tickLine: false, axisLine: false } as const;
export const margin = { top: 8, right: 8, bottom: 0, left: 0 };
const kDigit = 7.2;

/** The text of a mark stays in one line: broken in two, the upper one is cut off. */
export const oneLine = (format: (value: number) => string) => (value: number): string => format(value).replaceAll(' ', '\u00a0');

/** An axis of values with these marks, as wide as its longest text. */
export const valueAxis = (ticks: readonly number[], format: (value: number) => string) => ({
  ...axis,
  ticks: [...ticks],
  domain: [ticks[0] ?? 0, ticks.at(-1) ?? 1] as [number, number],
  tickFormatter: oneLine(format),
  interval: 0 as const,
  width: widthOf(ticks, format),
});

export const widthOf = (ticks: readonly number[], format: (value: number) => string): number => Math.ceil(Math.max(0, ...ticks.map((tick) => format(tick).length)) * kDigit) + 12;

export function Bubble({ title, rows }: { title: string; rows: readonly { name: string; text: string; colour?: string | undefined }[] }) {
  return (
    <div className="max-w-64 rounded-lg border border-line bg-panel px-3 py-2 text-xs shadow-lg">
      <p className="font-medium text-ink">{title}</p>
      <ul className="mt-1 space-y-0.5">
        {rows.map(({ name, text, colour }) => (
          <li key={name} className="flex items-center gap-2 text-ink-2">
            {colour && <span className="size-2 shrink-0 rounded-full" style={{ background: colour }} />}
            <span className="min-w-0 flex-1 truncate">{name}</span>
            <span className="font-medium text-ink tabular-nums">{text}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
