/** Settings of the configuration: what holds, where it came from, how it is changed. */
import { Badge, CopyButton, EmptyState, Field, Input, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { SearchX } from 'lucide-react';
import { useState } from 'react';

import type { Schemas } from '../../api/client';
import { settingsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';

type Setting = Schemas['SettingList']['settings'][number];

const shownOrigin = (origin: string): string => (origin === 'default' ? 'default' : origin.replace(/^environment /, ''));

function SettingRow({ setting }: { setting: Setting }) {
  const { path, value, origin, variable, help } = setting;
  return (
    <li className="grid gap-x-4 gap-y-1.5 py-3 sm:grid-cols-[minmax(0,5fr)_minmax(0,3fr)_auto] sm:items-center">
      <div className="min-w-0">
        <code className="font-mono text-[13px] break-all text-ink">{path}</code>
        {help && <p className="text-xs break-words text-ink-3">{help}</p>}
      </div>
      <div className="min-w-0">
        <p className="text-sm font-medium break-words text-ink tabular-nums">{value === '' ? <span className="font-normal text-ink-3">empty</span> : value}</p>
        <Badge tone={origin === 'default' ? 'neutral' : 'info'} className="mt-0.5 max-w-full whitespace-normal break-all">
          {shownOrigin(origin)}
        </Badge>
      </div>
      <CopyButton text={`${variable}=`} label="Copy" look="ghost" className="px-2.5 py-1.5" aria-label={`Copy ${variable}`} />
    </li>
  );
}

interface EffectiveProps {
  /** Beginnings of the paths to show; none: all. */
  sections?: readonly string[];
  /** Offers a search. */
  searchable?: boolean;
}

export function EffectiveList({ sections, searchable = false }: EffectiveProps) {
  const settings = useQuery(settingsQuery);
  const [text, setText] = useState('');
  if (settings.isError && !settings.data)
    return <Failure title="The settings could not be read" error={settings.error} onRetry={() => void settings.refetch()} retrying={settings.isFetching} />;
  if (!settings.data) return <SkeletonRows rows={5} />;
  const wanted = text.trim().toLowerCase();
  const shown = settings.data.settings.filter(
    ({ path, variable, help, value, origin }) =>
      (!sections || sections.some((section) => path === section || path.startsWith(`${section}.`))) &&
      (!wanted || `${path} ${variable} ${help} ${value} ${origin}`.toLowerCase().includes(wanted)),
  );
  return (
    <>
      {searchable && (
        <Field label="Search settings" className="mb-3 max-w-md" hint={<span role="status">{shown.length} shown{settings.data.complete ? '' : '; those of the process itself are for its operator'}</span>}>
          {(ids) => <Input {...ids} type="search" value={text} spellCheck={false} placeholder="timeout, cache, ASAHI_PORT" onChange={(event) => setText(event.target.value)} />}
        </Field>
      )}
      {shown.length === 0 ? (
        <EmptyState icon={SearchX} title={searchable ? 'No setting matches' : 'No setting here that you may see'} />
      ) : (
        <ul className="divide-y divide-line">
          {shown.map((setting) => (
            <SettingRow key={setting.path} setting={setting} />
          ))}
        </ul>
      )}
    </>
  );
}

export function HowToChange() {
  return (
    <>
      Read when the gateway starts, from its environment over <code className="font-mono text-[13px]">.env</code> over the configuration file. To change one, set it there
      (the button copies its variable) and start the gateway anew.
    </>
  );
}
