/** A gateway that wants to know who calls, with one organisation. */
import assert from 'node:assert/strict';

import { operator, start_governed } from '../../tests/e2e/support/governed.mjs';

/** The founder of Acme. */
export const kAdmin = { email: 'ada@example.com', password: 'correct horse battery' };

/** -> the gateway, and the API key of the founder. */
export async function gateway_with_accounts() {
  const gateway = await start_governed({
    env: { ASAHI_MOCK: 'true', ASAHI_ENCRYPTION_KEY: '5a'.repeat(32), ASAHI_GOVERNANCE_PBKDF2_ITERATIONS: '100000' },
  });
  const founded = await gateway.post('/signup', { org_name: 'Acme', ...kAdmin }, operator);
  assert.equal(founded.status, 201, founded.text);
  return { gateway, admin_key: founded.body.api_key };
}
