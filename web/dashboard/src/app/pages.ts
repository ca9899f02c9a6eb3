/** The pages in the order of the sidebar, as the sidebar, the palette and the shortcuts know them. */
import {
  Bell,
  Bot,
  Boxes,
  BrainCircuit,
  ChartColumn,
  ChartLine,
  ClipboardList,
  Coins,
  Database,
  KeySquare,
  Layers,
  LayoutDashboard,
  ListFilter,
  Radio,
  Rocket,
  Scale,
  Search,
  Settings,
  ShieldCheck,
  TerminalSquare,
  TrendingUp,
  Upload,
  Waypoints,
  type LucideIcon,
} from 'lucide-react';

export interface Page {
  /** Without the '#'. */
  to: string;
  label: string;
  icon: LucideIcon;
  /** Hidden from callers without this permission. */
  needs?: string;
  /** Pressed after `g`. */
  key: string;
  /** Further words that find it in the palette. */
  words?: string;
}

export interface Group {
  label: string;
  icon?: LucideIcon;
  pages: readonly Page[];
}

export const kPages: readonly (Page | Group)[] = [
  { to: '/', label: 'Dashboard', icon: LayoutDashboard, key: 'd', words: 'overview home' },
  { to: '/inference', label: 'Inference', icon: TerminalSquare, key: 'i', words: 'playground prompt compare' },
  { to: '/cache', label: 'Cache', icon: Database, key: 'c', needs: 'manage_policy', words: 'entries clear export' },
  { to: '/analytics', label: 'Analytics', icon: ChartColumn, key: 'a', needs: 'view_cost', words: 'insights savings latency' },
  {
    label: 'Analytics',
    pages: [
      { to: '/analytics/cost', label: 'Cost', icon: Coins, key: 'o', needs: 'view_cost', words: 'breakdown spend' },
      { to: '/analytics/trends', label: 'Trends', icon: ChartLine, key: 't', needs: 'view_cost' },
      { to: '/analytics/forecast', label: 'Forecast', icon: TrendingUp, key: 'f', needs: 'view_cost', words: 'budget risk' },
    ],
  },
  { to: '/requests', label: 'Requests', icon: ListFilter, key: 'r', needs: 'view_metrics', words: 'explorer search traces events' },
  { to: '/live', label: 'Live', icon: Radio, key: 'l', needs: 'view_metrics', words: 'stream now' },
  { to: '/models', label: 'Models', icon: Boxes, key: 'm', words: 'registry prices' },
  {
    label: 'Memory',
    icon: BrainCircuit,
    pages: [
      { to: '/memory/search', label: 'Search', icon: Search, key: 'y', needs: 'query:search', words: 'memories remember find facets' },
      { to: '/memory/systems', label: 'Systems', icon: Bot, key: 'v', needs: 'system:status', words: 'agents silent erase' },
      { to: '/memory/tiers', label: 'Tiers', icon: Layers, key: 'e', needs: 'system:status', words: 'storage hot warm cold ageing' },
      { to: '/memory/graph', label: 'Graph', icon: Waypoints, key: 'w', needs: 'query:search', words: 'entities facts path neighbours knowledge' },
      { to: '/memory/uploads', label: 'Uploads', icon: Upload, key: 'b', needs: 'system:status', words: 'ingestion ledger bundles bucket retry' },
    ],
  },
  {
    label: 'Governance',
    icon: Scale,
    pages: [
      { to: '/governance/audit', label: 'Audit Log', icon: ClipboardList, key: 'u', needs: 'view_audit_log', words: 'chain verify' },
      { to: '/governance/keys', label: 'API Keys', icon: KeySquare, key: 'k', needs: 'manage_policy', words: 'access create rotate revoke' },
      { to: '/governance/policies', label: 'Policies', icon: ShieldCheck, key: 'p', needs: 'manage_policy', words: 'budget limits' },
    ],
  },
  { to: '/alerts', label: 'Alerts', icon: Bell, key: 'n', needs: 'view_metrics', words: 'anomalies recommendations notifications' },
  { to: '/settings', label: 'Settings', icon: Settings, key: 's', words: 'configuration timezone theme' },
  { to: '/start', label: 'Getting started', icon: Rocket, key: 'h', words: 'help first request sdk snippets' },
];

export const isGroup = (item: Page | Group): item is Group => 'pages' in item;

export const allPages: readonly Page[] = kPages.flatMap((item) => (isGroup(item) ? item.pages : [item]));
