interface BarListProps {
  /** Names what is measured, for screen readers. */
  label: string;
  rows: readonly { name: string; amount: number; text: string; share: string }[];
}

/** Horizontal bars in the order given; a bar is its row's part of the whole. */
export function BarList({ label, rows }: BarListProps) {
  const whole = rows.reduce((sum, row) => sum + Math.max(row.amount, 0), 0);
  return (
    <ul aria-label={label} className="space-y-3.5">
      {rows.map((row) => (
        <li key={row.name}>
          <div className="flex items-baseline gap-3 text-sm">
            <span className="min-w-0 flex-1 truncate font-medium text-ink" title={row.name}>
              {row.name}
            </span>
            <span className="text-ink tabular-nums">{row.text}</span>
            <span className="w-12 text-right text-xs text-ink-3 tabular-nums">{row.share}</span>
          </div>
          <div aria-hidden className="mt-1.5 h-2 overflow-hidden rounded-full bg-sunken">
            <div
              className="h-full rounded-full bg-accent transition-[width] duration-200"
              style={{ width: whole > 0 && row.amount > 0 ? `${Math.max((row.amount / whole) * 100, 0.5)}%` : 0 }}
            />
          </div>
        </li>
      ))}
    </ul>
  );
}
