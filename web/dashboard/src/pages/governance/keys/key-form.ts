/** The form of a new key and the request it becomes. */
import type { Schemas } from '../../../api/client';
import { may, type Caller } from '../../../app/access';
import { listOf, numberOf } from '../../../lib/forms';

export const kScopes = [
  { value: 'infer', label: 'infer', hint: 'ask models', needs: ['infer'] },
  { value: 'analytics', label: 'analytics', hint: 'read figures and costs', needs: ['view_metrics', 'view_cost'] },
  { value: 'view_audit_log', label: 'view_audit_log', hint: 'read the audit log', needs: ['view_audit_log'] },
  { value: 'manage_policy', label: 'manage_policy', hint: 'keys, policy and cache', needs: ['manage_policy'] },
  { value: 'manage_users', label: 'manage_users', hint: 'users and roles', needs: ['manage_users'] },
  { value: 'admin', label: 'admin', hint: 'everything in the organisation', needs: ['manage_policy', 'manage_users', 'manage_billing', 'manage_models'] },
] as const;

export type Scope = (typeof kScopes)[number]['value'];

/** Nobody hands out more than they have. */
export const grantable = (caller: Caller | null | undefined, scope: (typeof kScopes)[number]): boolean =>
  scope.needs.every((permission) => may(caller, permission));

export interface KeyForm {
  name: string;
  user: string;
  scopes: Scope[];
  models: string;
  days: string;
  requests: string;
  tokens: string;
  /** Answers of questions that mean the same may serve its questions. */
  similar: boolean;
}

export const kEmptyForm: KeyForm = { name: '', user: '', scopes: ['infer'], models: '', days: '90', requests: '', tokens: '', similar: true };

export type KeyFaults = Partial<Record<keyof KeyForm, string>>;

/** The request, or what is wrong with the form. */
export function newKeyOf(form: KeyForm): { body: Schemas['NewApiKey'] } | { faults: KeyFaults } {
  const days = numberOf(form.days, { least: 1, whole: true });
  const requests = numberOf(form.requests, { least: 1, whole: true });
  const tokens = numberOf(form.tokens, { least: 1, whole: true });
  const faults: KeyFaults = {};
  // The API takes no scopes as full access; nobody should get that by leaving boxes empty.
  if (form.scopes.length === 0) faults.scopes = 'Tick at least one.';
  if (typeof days !== 'number' || days > 3650) faults.days = 'A whole number of 1 to 3650 days.';
  if (requests === undefined) faults.requests = 'A whole number from 1, or empty.';
  if (tokens === undefined) faults.tokens = 'A whole number from 1, or empty.';
  if (Object.keys(faults).length > 0 || typeof days !== 'number') return { faults };
  const models = listOf(form.models);
  return {
    body: {
      ...(form.name.trim() ? { name: form.name.trim() } : {}),
      ...(form.user.trim() ? { user_id: form.user.trim() } : {}),
      scopes: [...form.scopes],
      ...(models.length > 0 ? { allowed_models: models } : {}),
      expires_in_days: days,
      semantic_cache: form.similar,
      ...(typeof requests === 'number' ? { rate_limit_per_minute: requests } : {}),
      ...(typeof tokens === 'number' ? { tokens_per_minute: tokens } : {}),
    },
  };
}
