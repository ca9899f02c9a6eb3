import { Badge, type Tone } from '@asahi/ui';

const tones: Record<string, Tone> = { hot: 'accent', warm: 'warn', cold: 'info' };

/** Where a memory lies: hot is the newest, cold the oldest. */
export const TierBadge = ({ tier }: { tier: string }) => <Badge tone={tones[tier] ?? 'neutral'}>{tier}</Badge>;
