import { Tabs } from '@asahi/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { may, useCaller } from '../../app/access';
import { PageHeader } from '../../app/page-header';
import { KeysCard } from '../governance/keys/keys-page';
import { CacheTab } from './cache-tab';
import { GeneralTab } from './general-tab';
import { RoutingTab } from './routing-tab';

const kTabs: readonly { id: string; label: string; needs?: string; content: () => ReactNode }[] = [
  { id: 'general', label: 'General', content: () => <GeneralTab /> },
  { id: 'keys', label: 'API Keys', needs: 'manage_policy', content: () => <KeysCard /> },
  { id: 'cache', label: 'Cache', needs: 'manage_policy', content: () => <CacheTab /> },
  { id: 'routing', label: 'Routing', needs: 'manage_policy', content: () => <RoutingTab /> },
];

export function SettingsPage() {
  const caller = useCaller();
  const { tab } = useSearch({ from: '/shell/settings' });
  const navigate = useNavigate();
  const tabs = kTabs.filter(({ needs }) => !needs || may(caller, needs));
  const shown = tabs.find(({ id }) => id === tab) ?? tabs[0];
  return (
    <>
      <PageHeader title="Settings" purpose="What can be changed while the gateway runs, and what its configuration says." />
      <Tabs
        label="Settings"
        value={shown?.id ?? 'general'}
        tabs={tabs}
        onChange={(id) => void navigate({ to: '/settings', search: id === 'general' ? {} : { tab: id }, replace: true })}
      />
    </>
  );
}
