/** Settings of the configuration, folded by section: what holds, where it came from, how it is changed. */
import { Badge, Button, CopyButton, EmptyState, Field, Fold, Folds, Input, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, useLocation } from '@tanstack/react-router';
import { Link2, SearchX } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { settingsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { finds, sectionsOf, type Section, type Setting } from '../../lib/settings';

const shownOrigin = (origin: string): string => (origin === 'default' ? 'default' : origin.replace(/^environment /, ''));

function SettingRow({ setting }: { setting: Setting }) {
  const { path, value, origin, variable, help } = setting;
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1.5 py-3 sm:grid-cols-[minmax(0,5fr)_minmax(0,3fr)_auto]">
      <div className="min-w-0 max-sm:col-span-2">
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

interface SectionsProps {
  sections: readonly Section[];
  open: readonly string[];
  onChange: (open: string[]) => void;
  /** Each has an address of its own. */
  linked?: boolean;
}

const idOf = (section: string): string => `settings-${section}`;

function Sections({ sections, open, onChange, linked = false }: SectionsProps) {
  return (
    <Folds open={open} onChange={onChange}>
      {sections.map(({ name, settings, set }) => (
        <Fold
          key={name}
          name={name}
          {...(linked ? { id: idOf(name) } : {})}
          title={<code className="font-mono text-[13px]">{name}</code>}
          note={`${settings.length}${set > 0 ? `, ${set} set` : ''}`}
          actions={
            linked && (
              <Link
                to="/settings"
                hash={name}
                hashScrollIntoView={false}
                onClick={() => onChange(open.includes(name) ? [...open] : [...open, name])}
                aria-label={`Link to ${name}`}
                title="Link to this section"
                className="grid size-8 shrink-0 place-items-center rounded-lg text-ink-3 transition-colors duration-200 hover:text-ink"
              >
                <Link2 aria-hidden className="size-4" />
              </Link>
            )
          }
        >
          <ul className="divide-y divide-line">
            {settings.map((setting) => (
              <SettingRow key={setting.path} setting={setting} />
            ))}
          </ul>
        </Fold>
      ))}
    </Folds>
  );
}

interface EffectiveProps {
  /** Beginnings of the paths to show. */
  sections: readonly string[];
  /** How many elements of a path name a section. */
  depth?: number;
}

/** The settings of some sections. */
export function EffectiveList({ sections, depth = 1 }: EffectiveProps) {
  const settings = useQuery(settingsQuery);
  const [open, setOpen] = useState<readonly string[]>([]);
  if (!settings.data) return <Missing settings={settings} />;
  const shown = settings.data.settings.filter(({ path }) => sections.some((section) => path === section || path.startsWith(`${section}.`)));
  if (shown.length === 0) return <EmptyState icon={SearchX} title="No setting here that you may see" />;
  return <Sections sections={sectionsOf(shown, depth)} open={open} onChange={setOpen} />;
}

/** All settings with a search; the address's second '#' names the section that stands open. */
export function EverySetting() {
  const settings = useQuery(settingsQuery);
  const { hash } = useLocation();
  const [text, setText] = useState('');
  const [open, setOpen] = useState<readonly string[]>([]);
  /** Of those that the search opened. */
  const [closed, setClosed] = useState<readonly string[]>([]);
  const here = useRef<HTMLDivElement>(null);
  const all = settings.data?.settings;
  const named = all && sectionsOf(all).some(({ name }) => name === hash) ? hash : undefined;
  useEffect(() => {
    if (!named) return;
    setText('');
    setOpen((before) => (before.includes(named) ? before : [...before, named]));
    // Once it is open the page is long enough to be scrolled so far.
    const jump = requestAnimationFrame(() => {
      const section = here.current?.querySelector(`#${CSS.escape(idOf(named))}`);
      section?.scrollIntoView();
      section?.querySelector('button')?.focus({ preventScroll: true });
    });
    return () => cancelAnimationFrame(jump);
  }, [named]);
  if (!settings.data || !all) return <Missing settings={settings} />;
  const searching = text.trim() !== '';
  const found = searching ? all.filter((setting) => finds(setting, text.trim())) : all;
  const sections = sectionsOf(found);
  const names = sections.map(({ name }) => name);
  const shownOpen = searching ? names.filter((name) => !closed.includes(name)) : open;
  const choose = (next: readonly string[]) => (searching ? setClosed(names.filter((name) => !next.includes(name))) : setOpen(next));
  const allOpen = names.every((name) => shownOpen.includes(name));
  return (
    <div ref={here}>
      <div className="mb-3 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <Field
          label="Search settings"
          className="max-w-md flex-1 basis-64"
          hint={
            <span role="status">
              {searching ? `${found.length} of ${all.length} settings` : `${all.length} settings in ${sections.length} sections`}
              {settings.data.complete ? '' : '; those of the process itself are for its operator'}
            </span>
          }
        >
          {(ids) => (
            <Input
              {...ids}
              type="search"
              value={text}
              spellCheck={false}
              placeholder="timeout, cache, ASAHI_PORT"
              onChange={(event) => {
                setText(event.target.value);
                setClosed([]);
              }}
            />
          )}
        </Field>
        {sections.length > 0 && (
          <Button look="ghost" className="sm:mt-7" onClick={() => choose(allOpen ? [] : names)}>
            {allOpen ? 'Fold all' : 'Open all'}
          </Button>
        )}
      </div>
      {sections.length === 0 ? (
        <EmptyState icon={SearchX} title="No setting matches" action={<Button onClick={() => setText('')}>Clear the search</Button>}>
          A path, a variable, a value or a word of the description.
        </EmptyState>
      ) : (
        <Sections linked sections={sections} open={shownOpen} onChange={choose} />
      )}
    </div>
  );
}

function Missing({ settings }: { settings: { isError: boolean; error: unknown; refetch: () => unknown; isFetching: boolean } }) {
  if (!settings.isError) return <SkeletonRows rows={5} />;
  return <Failure title="The settings could not be read" error={settings.error} onRetry={() => void settings.refetch()} retrying={settings.isFetching} />;
}

export function HowToChange() {
  return (
    <>
      Read when the gateway starts, from its environment over <code className="font-mono text-[13px]">.env</code> over the configuration file. To change one, set it there
      (the button copies its variable) and start the gateway anew.
    </>
  );
}
