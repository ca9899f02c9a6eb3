/**
 * A real SAML identity provider (npm samlify) with test users, on this machine. It reads signed requests only, answers with
 * signed assertions by HTTP-POST, and calls itself `localhost`: for a browser that is another site than 127.0.0.1, so that
 * cookies are tried as they are with a provider out on the web.
 */
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import samlify from "samlify";

export const kUsers = {
  jane: { email: "jane@acme.example", name: "Jane Admin", groups: "admins" },
  joe: { email: "joe@acme.example", name: "Joe Viewer", groups: "staff" },
};

const kRsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const binding = (name) => `urn:oasis:names:tc:SAML:2.0:bindings:${name}`;
// samlify wants a validator of schemas; the gateway is what is tested here.
samlify.setSchemaValidator({ validate: async () => "ok" });

function make_key(folder, name) {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ["-subj", `/CN=${name}`, "-days", "2"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, ...subject], {
    stdio: "ignore",
  });
  return { privateKey: readFileSync(key, "utf8"), signingCert: readFileSync(certificate, "utf8") };
}

const attribute = (name) => ({
  name,
  valueTag: `user.${name}`,
  nameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
  valueXsiType: "xs:string",
});

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");

/**
 * Starts a provider that keeps its key in `folder`. `responses` holds what it sent, as base64; `change(xml)` may alter a
 * signed response on its way. `use_metadata(xml)` makes the gateway known to it.
 */
export async function start_saml_provider({ folder, name = "idp", users = kUsers }) {
  const key = make_key(folder, name);
  const responses = [];
  let service_provider;
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      response.writeHead(400, { "content-type": "text/plain" }).end(String(error.message ?? error));
    });
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const url = `http://localhost:${server.address().port}`;
  const template = samlify.SamlLib.defaultLoginResponseTemplate.context;
  const provider = samlify.IdentityProvider({
    entityID: `${url}/metadata`,
    ...key,
    isAssertionEncrypted: false,
    wantAuthnRequestsSigned: true,
    requestSignatureAlgorithm: kRsaSha256,
    nameIDFormat: ["urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"],
    singleSignOnService: [{ isDefault: true, Binding: binding("HTTP-Redirect"), Location: `${url}/sso` }],
    loginResponseTemplate: { context: template, attributes: ["email", "displayName", "groups"].map(attribute) },
  });
  const started = { url, responses, change: (xml) => xml };

  /** The answer to a request for a user, as base64. */
  async function respond(request_id, user) {
    const acs = service_provider.entityMeta.getAssertionConsumerService("post");
    const audience = service_provider.entityMeta.getEntityID();
    const now = new Date().toISOString();
    const until = new Date(Date.now() + 300_000).toISOString();
    const id = () => `_${crypto.randomUUID()}`;
    const made = await provider.createLoginResponse(service_provider, { extract: { request: { id: request_id } } }, "post", user, (text) => {
      const values = {
        ID: id(),
        AssertionID: id(),
        Destination: acs,
        Audience: audience,
        EntityID: audience,
        SubjectRecipient: acs,
        AssertionConsumerServiceURL: acs,
        Issuer: `${url}/metadata`,
        IssueInstant: now,
        StatusCode: "urn:oasis:names:tc:SAML:2.0:status:Success",
        ConditionsNotBefore: now,
        ConditionsNotOnOrAfter: until,
        SubjectConfirmationDataNotOnOrAfter: until,
        NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        NameID: user.email,
        InResponseTo: request_id,
        AuthnStatement: "",
        attrUserEmail: user.email,
        attrUserDisplayName: user.name,
        attrUserGroups: user.groups,
      };
      return { id: values.ID, context: samlify.SamlLib.replaceTagsByValue(text, values) };
    });
    const xml = started.change(Buffer.from(made.context, "base64").toString());
    const encoded = Buffer.from(xml).toString("base64");
    responses.push(encoded);
    return { acs, encoded };
  }

  async function answer(request, response) {
    const where = new URL(request.url, url);
    const page = (body) => response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(body);
    if (where.pathname === "/sso") {
      const query = Object.fromEntries(where.searchParams);
      // What was signed is the query as it was sent.
      const octetString = where.search.slice(1).replace(/&Signature=.*/, "");
      const read = await provider.parseLoginRequest(service_provider, "redirect", { query, octetString });
      page(`<!doctype html><meta charset="utf-8"><title>Test provider</title><h1>Test provider</h1>
<form method="post" action="/sign-in"><input type="hidden" name="request" value="${escaped(read.extract.request.id)}">
<label>User <input name="user" autofocus></label><button>Sign in</button></form>`);
      return;
    }
    if (where.pathname === "/sign-in" && request.method === "POST") {
      let body = "";
      for await (const chunk of request) body += chunk;
      const form = new URLSearchParams(body);
      const { acs, encoded } = await respond(form.get("request"), users[form.get("user")]);
      page(`<!doctype html><meta charset="utf-8"><title>Back</title><form method="post" action="${escaped(acs)}">
<input type="hidden" name="SAMLResponse" value="${encoded}"><input type="hidden" name="RelayState" value="https://evil.example/">
</form><script>document.forms[0].submit()</script>`);
      return;
    }
    page("<!doctype html><meta charset=\"utf-8\"><title>Test provider</title>");
  }

  return Object.assign(started, {
    metadata: provider.getMetadata(),
    use_metadata: (xml) => (service_provider = samlify.ServiceProvider({ metadata: xml })),
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  });
}
