/** How a question goes through the gateway; told in words to screen readers. */
export function Picture() {
  const box = 'fill-panel stroke-line';
  const label = 'fill-ink text-[13px] font-semibold';
  const note = 'fill-ink-3 text-[11px]';
  const tiers = [
    { y: 78, title: 'Tier 1 · exact', text: 'asked before, word for word' },
    { y: 142, title: 'Tier 2 · meaning', text: 'asked before in other words' },
    { y: 206, title: 'Tier 3 · steps', text: 'parts that are known already' },
    { y: 270, title: 'Router', text: 'the cheapest that is good enough' },
  ] as const;
  return (
    <svg viewBox="0 0 480 360" role="img" aria-label="A question passes three tiers of the cache and the router; only what none of them answers goes to a model vendor." className="w-full font-sans">
      <rect x="120" y="16" width="250" height="328" rx="16" className="fill-accent-soft stroke-accent" />
      <text x="245" y="48" textAnchor="middle" className="fill-ink text-[15px] font-bold">
        Asahi
      </text>
      <rect x="4" y="150" width="88" height="60" rx="10" className={box} />
      <text x="48" y="176" textAnchor="middle" className={label}>
        Your
      </text>
      <text x="48" y="194" textAnchor="middle" className={label}>
        application
      </text>
      <path d="M92 172h24" className="fill-none stroke-line-strong" strokeWidth="2" markerEnd="url(#arrow)" />
      <path d="M120 188H96" className="fill-none stroke-line-strong" strokeWidth="2" markerEnd="url(#arrow)" />
      {tiers.map(({ y, title, text }, index) => (
        <g key={title}>
          <rect x="136" y={y - 14} width="218" height="52" rx="10" className={index === 1 ? 'fill-accent stroke-accent' : box} />
          <text x="152" y={y + 8} className={index === 1 ? 'fill-on-accent text-[13px] font-semibold' : label}>
            {title}
          </text>
          <text x="152" y={y + 25} className={index === 1 ? 'fill-on-accent text-[11px]' : note}>
            {text}
          </text>
        </g>
      ))}
      {['OpenAI', 'Anthropic', 'Google', 'yours'].map((vendor, index) => (
        <g key={vendor}>
          <path d={`M354 ${282} C 380 282, 376 ${236 + index * 34}, 396 ${236 + index * 34}`} className="fill-none stroke-line-strong" strokeWidth="1.5" />
          <rect x="396" y={222 + index * 34} width="80" height="28" rx="8" className={box} />
          <text x="436" y={240 + index * 34} textAnchor="middle" className={note}>
            {vendor}
          </text>
        </g>
      ))}
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="6" markerHeight="6" orient="auto">
          <path d="M0 0l8 4-8 4z" className="fill-line-strong" />
        </marker>
      </defs>
    </svg>
  );
}
