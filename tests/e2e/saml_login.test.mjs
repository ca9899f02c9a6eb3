/**
 * A browser logs in with a real SAML identity provider and lands on the dashboard with a session. ASAHI_CHROMIUM names the
 * browser; ASAHI_SCREENSHOTS=1 writes docs/images/login-saml.png.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { start_saml_provider } from "./identity/saml_provider.mjs";
import { start_fakes } from "./support/fakes.mjs";
import { bearer, make_key, operator, start_governed } from "./support/governed.mjs";
import { find_program, free_port, stop_everything, temp_folder } from "./support/processes.mjs";

const kBrowser = process.env.ASAHI_CHROMIUM ?? find_program("chromium");
const kLimitMs = 10_000 * Number(process.env.ASAHI_TIME_FACTOR ?? 1);
const kPicture = fileURLToPath(new URL("../../docs/images/login-saml.png", import.meta.url));
const kOrg = "acme";
const kAcs = `/auth/saml/${kOrg}/acs`;

const skip = kBrowser ? false : "no chromium: install Debian's package chromium or set ASAHI_CHROMIUM";
describe("login with a SAML identity provider", { skip }, () => {
  let folder, gateway, provider, browser, context, page;

  before(async () => {
    folder = temp_folder("saml");
    provider = await start_saml_provider({ folder });
    const metadata = join(folder, "idp.xml");
    writeFileSync(metadata, provider.metadata);
    const port = await free_port();
    gateway = await start_governed({
      fakes: await start_fakes(),
      env: { ASAHI_PORT: String(port) },
      config: `auth:
  public_url: http://127.0.0.1:${port}
  saml:
    orgs:
      ${kOrg}:
        name: Acme
        idp_metadata_file: ${metadata}
        role_attribute: groups
        role_map: [admins=admin, staff=viewer]
        create_users: true
`,
    });
    const described = await gateway.get(`/auth/saml/${kOrg}/metadata`);
    assert.equal(described.status, 200, described.text);
    assert.match(described.headers.get("content-type"), /samlmetadata\+xml/);
    provider.use_metadata(described.text);
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({ executablePath: kBrowser, args: ["--no-sandbox", "--disable-gpu"] });
  });
  after(async () => {
    await browser?.close();
    await provider?.stop();
    await stop_everything();
  });
  beforeEach(async () => {
    provider.change = (xml) => xml;
    context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", viewport: { width: 1440, height: 900 } });
    context.setDefaultTimeout(kLimitMs);
    page = await context.newPage();
  });
  afterEach(() => context?.close());

  /** Begins at the gateway and signs in at the provider; resolves with the gateway's reply to the response. */
  async function sign_in(user, return_to = "/") {
    await page.goto(`${gateway.url}/auth/saml/${kOrg}/login?return_to=${encodeURIComponent(return_to)}`);
    assert.ok(page.url().startsWith(`${provider.url}/sso`), page.url());
    await page.getByLabel("User").fill(user);
    const back = page.waitForResponse((response) => response.url() === gateway.url + kAcs);
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
  const session = async () => (await cookies()).get("asahi_session");
  /** A response posted by a form on another site, as providers do it. */
  async function post_from_elsewhere(encoded) {
    await page.goto(provider.url);
    const back = page.waitForResponse((response) => response.url() === gateway.url + kAcs);
    await page.evaluate(
      ([action, value]) => {
        const form = Object.assign(document.createElement("form"), { method: "post", action });
        form.append(Object.assign(document.createElement("input"), { name: "SAMLResponse", value }));
        document.body.append(form);
        form.submit();
      },
      [gateway.url + kAcs, encoded],
    );
    return back;
  }
  /** The gateway's no, and its page in the browser. */
  async function expect_refused(back, what) {
    assert.equal(back.status(), 401, what);
    await page.getByRole("heading", { name: "Login failed" }).waitFor();
    assert.equal(await session(), undefined, what);
  }
  /** Begins a login in this browser and leaves it waiting; the address at the provider. */
  async function begin() {
    await page.goto(`${gateway.url}/auth/saml/${kOrg}/login`);
    return page.url();
  }

  test("the login page offers the organisation's provider", async () => {
    const { body } = await gateway.get("/auth/providers");
    assert.deepEqual(body.providers, [{ id: kOrg, name: "Acme", type: "saml", login_url: `/auth/saml/${kOrg}/login` }]);
    await page.goto(`${gateway.url}/#/login`);
    const link = page.getByRole("link", { name: "Log in with Acme" });
    await link.waitFor();
    if (process.env.ASAHI_SCREENSHOTS === "1") {
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: kPicture, animations: "disabled" });
    }
    await link.click();
    await page.getByRole("heading", { name: "Test provider" }).waitFor();
  });

  test("a user signs in, lands on the dashboard and has the role that the provider's attribute gives", async () => {
    const back = await sign_in("jane");
    assert.equal(back.status(), 303);
    await page.waitForURL(`${gateway.url}/**`);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    const { httpOnly, sameSite } = await session();
    assert.deepEqual({ httpOnly, sameSite }, { httpOnly: true, sameSite: "Lax" });
    assert.equal((await cookies()).has("asahi_saml"), false, "the login's own cookie is spent");
    const me = await ask("/auth/me");
    assert.equal(me.status, 200, JSON.stringify(me));
    const text = JSON.stringify(me.body);
    for (const part of ["jane@acme.example", kOrg, "admin"]) assert.ok(text.includes(part), text);
    assert.equal((await ask("/org/users")).status, 200, "an admin's page");
  });

  test("a lesser group is a lesser role", async () => {
    await sign_in("joe");
    await page.waitForURL(`${gateway.url}/**`);
    assert.equal((await ask("/auth/me")).status, 200);
    assert.equal((await ask("/org/users")).status, 403);
  });

  test("the browser comes back to the page where it began, whatever the RelayState says", async () => {
    await sign_in("jane", "/#/models");
    await page.waitForURL(`${gateway.url}/#/models`);
  });

  test("a response is taken once: played again it opens nothing, in this browser and in another", async () => {
    assert.equal((await sign_in("jane")).status(), 303);
    await page.waitForURL(`${gateway.url}/**`);
    const used = provider.responses.at(-1);
    await context.clearCookies();
    await expect_refused(await post_from_elsewhere(used));
    // Nor for somebody who waits for an answer of their own.
    await begin();
    await expect_refused(await post_from_elsewhere(used));
    assert.ok(!(await page.content()).includes("jane"), "the page repeats nothing");
  });

  test("a response that another browser asked for is refused", async () => {
    // The attacker signs in as themselves and has the victim's browser post the response.
    const held = [];
    await page.route(`**${kAcs}`, (route) => (held.push(route.request().postData()), route.abort()));
    await begin();
    await page.getByLabel("User").fill("joe");
    await page.getByRole("button", { name: "Sign in" }).click();
    while (held.length === 0) await page.waitForTimeout(20);
    const stolen = new URLSearchParams(held[0]).get("SAMLResponse");
    await context.close();
    context = await browser.newContext();
    page = await context.newPage();
    await begin();
    await expect_refused(await post_from_elsewhere(stolen));
  });

  test("a response that was tampered with is refused", async () => {
    const evil = (xml) => xml.replaceAll("joe@acme.example", "jane@acme.example");
    const assertion = (xml) => xml.match(/<saml:Assertion .*<\/saml:Assertion>/s)[0];
    const changes = {
      "another name": evil,
      "another role": (xml) => xml.replace(">staff<", ">admins<"),
      "no signature": (xml) => xml.replace(/<ds:Signature .*?<\/ds:Signature>/s, ""),
      "a second assertion": (xml) =>
        xml.replace(
          "<saml:Assertion ",
          `${evil(assertion(xml)).replace(/<ds:Signature .*?<\/ds:Signature>/s, "").replace(/ ID="[^"]*"/, ' ID="_evil"')}<saml:Assertion `,
        ),
      "a document type": (xml) => `<!DOCTYPE x [<!ENTITY e "v">]>${xml}`,
      "a comment": (xml) => xml.replace("joe@", "jo<!---->e@"),
    };
    for (const [name, change] of Object.entries(changes)) {
      provider.change = (xml) => {
        const changed = change(xml);
        assert.notEqual(changed, xml, name);
        return changed;
      };
      await expect_refused(await sign_in("joe"), name);
    }
  });

  test("logins and refusals are in the organisation's audit log, with the reason, and its chain is whole", async () => {
    const reader = bearer(await make_key(gateway, kOrg));
    const { body } = await gateway.get("/governance/audit?limit=100", reader);
    assert.ok(body.entries.filter(({ action }) => action === "login").length >= 4);
    const refused = body.entries.filter(({ action }) => action === "auth_failure");
    for (const { result, resource } of refused) assert.deepEqual([result, resource], ["denied", `saml/${kOrg}`]);
    const reasons = new Set(refused.map(({ details }) => details.reason));
    for (const reason of ["not_waiting", "in_response_to", "signature", "unsigned", "structure", "malformed"])
      assert.ok(reasons.has(reason), `${reason} is not among ${[...reasons]}`);
    assert.equal((await gateway.get(`/governance/audit/verify?org_id=${kOrg}`, operator)).body.valid, true);
  });

  test("the response of a provider that is not this organisation's is refused", async () => {
    const stranger = await start_saml_provider({ folder, name: "stranger" });
    try {
      stranger.use_metadata((await gateway.get(`/auth/saml/${kOrg}/metadata`)).text);
      const { search } = new URL(await begin());
      await page.goto(`${stranger.url}/sso${search}`);
      await page.getByLabel("User").fill("jane");
      const back = page.waitForResponse((response) => response.url() === gateway.url + kAcs);
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect_refused(await back);
    } finally {
      await stranger.stop();
    }
  });

  test("an organisation without a provider has no login, and a return address elsewhere is refused", async () => {
    for (const path of ["metadata", "login"]) assert.equal((await gateway.get(`/auth/saml/nobody/${path}`)).status, 404);
    for (const elsewhere of ["https://evil.example/", "//evil.example", "/\\evil.example"]) {
      const where = `${gateway.url}/auth/saml/${kOrg}/login?return_to=${encodeURIComponent(elsewhere)}`;
      assert.equal((await fetch(where, { redirect: "manual" })).status, 400, elsewhere);
    }
  });
});
