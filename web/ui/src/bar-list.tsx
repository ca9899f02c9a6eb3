interface BarListProps {
  /** Names what is measured, for screen readers. */
  label: string;
  rows: readonly { name: string; amount: number; text: string; share: string }[];
}

/** Horizontal bars, longest first: every amount stands beside its bar as text. */
export function BarList({ label, rows }: BarListProps) {
  const sorted = [...rows].sort((a, b) => b.amount - a.amount);
  const most = Math.max(...sorted.map((row) => row.amount), 0);
  return (
    <ul aria-label={label} className="space-y-4">
      {sorted.map((row) => (
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
              style={{ width: most > 0 ? `${Math.max((row.amount / most) * 100, 0.5)}%` : 0 }}
            />
          </div>
        </li>
      ))}
    </ul>
  );
}
