/**
 * A browser logs in with a real OpenID provider and lands on the dashboard with a session. ASAHI_CHROMIUM names the
 * browser; ASAHI_SCREENSHOTS=1 writes docs/images/oidc.png.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { startOidcProvider } from "./identity/oidc_provider.mjs";
import { start_fakes } from "./support/fakes.mjs";
import { bearer, make_key, operator, start_governed } from "./support/governed.mjs";
import { find_program, free_port, stop_everything } from "./support/processes.mjs";

const kBrowser = process.env.ASAHI_CHROMIUM ?? find_program("chromium");
const kLimitMs = 10_000 * Number(process.env.ASAHI_TIME_FACTOR ?? 1);
const kPicture = fileURLToPath(new URL("../../docs/images/oidc.png", import.meta.url));
const kOrg = "acme";

const skip = kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM";
describe("login with an OpenID provider", { skip }, () => {
  let gateway, provider, browser, context, page;

  before(async () => {
    const port = await free_port();
    const url = `http://127.0.0.1:${port}`;
    provider = await startOidcProvider({ redirectUris: [`${url}/auth/oidc/test/callback`] });
    gateway = await start_governed({
      fakes: await start_fakes(),
      env: { ASAHI_PORT: String(port), ASAHI_AUTH_OIDC_PROVIDERS_TEST_CLIENT_SECRET: provider.clientSecret },
      config: `auth:
  public_url: ${url}
  oidc:
    providers:
      test:
        name: Test provider
        issuer: ${provider.issuer}
        client_id: ${provider.clientId}
        scopes: [openid, email, profile, groups]
        org_id: ${kOrg}
        role_claim: groups
        role_map: [admins=admin, staff=viewer]
        create_users: true
`,
    });
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({ executablePath: kBrowser, args: ["--no-sandbox", "--disable-gpu"] });
  });
  after(async () => {
    await browser?.close();
    await provider?.stop();
    await stop_everything();
  });
  beforeEach(async () => {
    context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", viewport: { width: 1440, height: 900 } });
    context.setDefaultTimeout(kLimitMs);
    page = await context.newPage();
  });
  afterEach(() => context?.close());

  /** Begins at the gateway and signs in at the provider; resolves when the browser is back. */
  async function sign_in(user, return_to = "/") {
    await page.goto(`${gateway.url}/auth/oidc/test/login?return_to=${encodeURIComponent(return_to)}`);
    assert.ok(page.url().startsWith(`${provider.issuer}/interaction/`), page.url());
    await page.getByLabel("User").fill(user);
    const callback = `${gateway.url}/auth/oidc/test/callback`;
    const back = page.waitForResponse((response) => response.url().startsWith(callback));
    await page.getByRole("button", { name: "Sign in" }).click();
    return back;
  }
  /** GET in the page, with its cookies. */
  const ask = (path) =>
    page.evaluate(async (where) => {
      const reply = await fetch(where);
      return { status: reply.status, body: await reply.json() };
    }, path);
  const cookies = async () => new Map((await context.cookies(gateway.url)).map((cookie) => [cookie.name, cookie]));

  test("the provider is among the ways to log in", async () => {
    const { body } = await gateway.get("/auth/providers");
    assert.deepEqual(body.providers, [
      { id: "test", name: "Test provider", type: "oidc", login_url: "/auth/oidc/test/login" },
    ]);
  });

  test("a user signs in, lands on the dashboard and has the role that the provider's groups give", async () => {
    const back = await sign_in("jane");
    assert.ok([302, 303].includes(back.status()), String(back.status()));
    await page.waitForURL(`${gateway.url}/**`);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    const session = (await cookies()).get("asahi_session");
    assert.ok(session, "a session cookie");
    assert.equal(session.httpOnly, true);
    assert.equal(session.sameSite, "Lax");
    const me = await ask("/auth/me");
    assert.equal(me.status, 200, JSON.stringify(me));
    const text = JSON.stringify(me.body);
    for (const part of ["jane@acme.example", kOrg, "admin"]) assert.ok(text.includes(part), text);
    assert.equal((await ask("/org/users")).status, 200, "an admin's page");
    if (process.env.ASAHI_SCREENSHOTS === "1") {
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: kPicture, animations: "disabled" });
    }
  });

  test("the session changes things with its CSRF token only, and ends at logout", async () => {
    await sign_in("jane");
    await page.waitForURL(`${gateway.url}/**`);
    const { body } = await ask("/auth/me");
    const send = (method, path, headers) =>
      page.evaluate(async ([how, where, fields]) => (await fetch(where, { method: how, headers: fields })).status, [
        method,
        path,
        headers,
      ]);
    const token = { "x-csrf-token": body.csrf_token };
    assert.equal(await send("DELETE", "/cache/clear", {}), 403);
    assert.equal(await send("DELETE", "/cache/clear", token), 200);
    assert.ok([200, 204].includes(await send("POST", "/auth/logout", token)));
    assert.equal((await ask("/auth/me")).status, 401);
  });

  test("a lesser group is a lesser role", async () => {
    await sign_in("joe");
    await page.waitForURL(`${gateway.url}/**`);
    assert.equal((await ask("/auth/me")).status, 200);
    assert.equal((await ask("/org/users")).status, 403);
  });

  test("the browser comes back to the page where it began", async () => {
    await sign_in("jane", "/#/models");
    await page.waitForURL(`${gateway.url}/#/models`);
  });

  test("a callback that was used is refused when it is played again, in the same browser and in another", async () => {
    const callback = (await sign_in("jane")).url();
    await page.waitForURL(`${gateway.url}/**`);
    const kept = (await cookies()).get("asahi_session").value;
    const again = await page.goto(callback);
    assert.ok([400, 401, 403].includes(again.status()), String(again.status()));
    await page.getByRole("heading", { name: "Login failed" }).waitFor();
    assert.ok(!(await page.content()).includes(new URL(callback).searchParams.get("code")), "the page repeats nothing");
    assert.equal((await cookies()).get("asahi_session")?.value, kept, "no new session");
    const other = await browser.newContext();
    const stranger = await other.newPage();
    assert.ok((await stranger.goto(callback)).status() >= 400);
    assert.equal((await other.cookies(gateway.url)).some(({ name }) => name === "asahi_session"), false);
    await other.close();
  });

  test("a callback that another browser began is refused", async () => {
    // The attacker signs in, stops before the callback and sends its address to the victim.
    let next = `${gateway.url}/auth/oidc/test/login`;
    while (!next.startsWith(`${gateway.url}/auth/oidc/test/callback`)) {
      const asked = /\/interaction\/[\w-]+$/.test(next) ? { method: "POST", form: { login: "jane" } } : {};
      const reply = await context.request.fetch(next, { maxRedirects: 0, ...asked });
      assert.ok(reply.headers().location, `${next} answered ${reply.status()}`);
      next = new URL(reply.headers().location, next).href;
    }
    const victim = await browser.newContext();
    const reply = await (await victim.newPage()).goto(next);
    assert.ok(reply.status() >= 400, String(reply.status()));
    assert.equal((await victim.cookies(gateway.url)).some(({ name }) => name === "asahi_session"), false);
    await victim.close();
  });

  test("an address that the provider has not verified does not get in", async () => {
    const back = await sign_in("eve");
    assert.equal(back.status(), 403);
    await page.getByText("has not verified").waitFor();
    assert.equal((await cookies()).has("asahi_session"), false);
  });

  test("logins and refusals are in the organisation's audit log, and its chain is whole", async () => {
    const reader = bearer(await make_key(gateway, kOrg));
    const { body } = await gateway.get("/governance/audit?limit=100", reader);
    const logins = body.entries.filter(({ action }) => action === "login");
    assert.ok(logins.length >= 4, `${logins.length} logins`);
    assert.ok(body.entries.some(({ action, result }) => action === "auth_failure" && result === "denied"));
    assert.doesNotMatch(JSON.stringify(body), /client secret for tests/);
    assert.equal((await gateway.get(`/governance/audit/verify?org_id=${kOrg}`, operator)).body.valid, true);
  });

  test("a return address on another host is refused before the provider is asked", async () => {
    for (const elsewhere of ["https://evil.example/", "//evil.example", "/\\evil.example"]) {
      const where = `${gateway.url}/auth/oidc/test/login?return_to=${encodeURIComponent(elsewhere)}`;
      const reply = await fetch(where, { redirect: "manual" });
      assert.ok(reply.status >= 400 && reply.status < 500, `${elsewhere}: ${reply.status}`);
    }
  });
});
