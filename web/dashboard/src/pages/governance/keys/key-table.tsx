import { Badge, Button, SortTh, Table, Td, Th, type Sort, type Tone } from '@asahi/ui';
import { useState } from 'react';

import type { Schemas } from '../../../api/client';
import { count, dateOnly, dateTime } from '../../../lib/format';
import { sortedBy } from '../../../lib/sort';
import { titleOf } from './key-dialogs';

type ApiKey = Schemas['ApiKey'];
type Column = 'name' | 'prefix' | 'status' | 'created' | 'used' | 'expires';

const tones: Record<ApiKey['status'], Tone> = { active: 'ok', rotated: 'warn', expired: 'neutral', revoked: 'bad' };
const order: readonly ApiKey['status'][] = ['active', 'rotated', 'expired', 'revoked'];

function valueOf(key: ApiKey, column: Column): string | number {
  switch (column) {
    case 'name':
      return titleOf(key).toLowerCase();
    case 'prefix':
      return key.prefix;
    case 'created':
      return key.created_at ?? '';
    case 'status':
      return order.indexOf(key.status);
    case 'used':
      return key.last_used_at ?? '';
    case 'expires':
      return key.valid_until ?? key.expires_at;
  }
}

function limitsOf(key: ApiKey): string[] {
  return [
    ...(key.rate_limit_per_minute ? [`${count(key.rate_limit_per_minute)} req/min`] : []),
    ...(key.tokens_per_minute ? [`${count(key.tokens_per_minute)} tok/min`] : []),
  ];
}

const kSoonMs = 7 * 86_400_000;
const endsSoon = (key: ApiKey): boolean => key.status === 'active' && new Date(key.expires_at).getTime() - Date.now() < kSoonMs;

const lines = (texts: readonly string[], none: string) =>
  texts.length === 0 ? none : texts.map((text) => <span key={text} className="block break-words">{text}</span>);

interface KeyTableProps {
  keys: readonly ApiKey[];
  onRotate: (key: ApiKey) => void;
  onRevoke: (key: ApiKey) => void;
}

export function KeyTable({ keys, onRotate, onRevoke }: KeyTableProps) {
  const [sort, setSort] = useState<Sort<Column>>({ key: 'status', down: false });
  const heading = { sort, onSort: setSort };
  return (
    <Table label="API keys">
      <thead>
        <tr>
          <SortTh by="name" {...heading}>
            Name
          </SortTh>
          <SortTh by="prefix" {...heading}>
            Prefix
          </SortTh>
          <Th>Scopes</Th>
          <Th>Limits</Th>
          <SortTh by="created" {...heading}>
            Created
          </SortTh>
          <SortTh by="used" {...heading}>
            Last used
          </SortTh>
          <SortTh by="expires" {...heading}>
            Expires
          </SortTh>
          <SortTh by="status" {...heading}>
            Status
          </SortTh>
          <Th>
            <span className="sr-only">Actions</span>
          </Th>
        </tr>
      </thead>
      <tbody>
        {sortedBy(keys, sort, valueOf).map((key) => (
          <tr key={key.prefix} className="hover:bg-sunken/60">
            <Td className="max-w-44 min-w-28">
              <span className={key.name ? 'block truncate font-medium' : 'block text-ink-3'} title={key.name ?? undefined}>
                {key.name || 'unnamed'}
              </span>
              <span className="block truncate text-xs text-ink-3" title={key.user_id}>of {key.user_id}</span>
            </Td>
            <Td className="font-mono text-[13px] whitespace-nowrap text-ink-2">{key.prefix}…</Td>
            <Td className="text-ink-2">{lines(key.scopes, 'full access')}</Td>
            <Td className="max-w-40 text-xs text-ink-2 tabular-nums">{lines([...(key.allowed_models ?? []), ...limitsOf(key)], 'none')}</Td>
            <Td className="text-xs text-ink-2 tabular-nums">{key.created_at ? dateOnly(key.created_at) : '–'}</Td>
            <Td className="text-xs text-ink-2 tabular-nums">{key.last_used_at ? dateTime(key.last_used_at) : 'never'}</Td>
            <Td className="text-xs text-ink-2 tabular-nums">
              {dateTime(key.valid_until ?? key.expires_at)}
              {endsSoon(key) && <span className="block font-medium text-warn-text">soon</span>}
            </Td>
            <Td>
              <Badge tone={tones[key.status]} dot>
                {key.status}
              </Badge>
            </Td>
            <Td className="whitespace-nowrap">
              {(key.status === 'active' || key.status === 'rotated') && (
                <span className="flex justify-end gap-1">
                  {key.status === 'active' && (
                    <Button look="ghost" className="px-2.5 py-1.5" onClick={() => onRotate(key)} aria-label={`Rotate ${titleOf(key)}`}>
                      Rotate
                    </Button>
                  )}
                  <Button look="ghost" className="px-2.5 py-1.5 text-bad-text" onClick={() => onRevoke(key)} aria-label={`Revoke ${titleOf(key)}`}>
                    Revoke
                  </Button>
                </span>
              )}
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
