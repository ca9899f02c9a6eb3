/**
 * A real OpenID provider (npm oidc-provider) with test users, on this machine. Logging in takes a user's name and nothing
 * else; consent is given for every scope. As a program it takes its options as JSON and writes {"issuer": …} when ready:
 *
 *   node oidc_provider.mjs '{"redirectUris": ["http://127.0.0.1:8000/auth/oidc/test/callback"], "auto": "jane"}'
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

import { Provider } from "oidc-provider";

export const kUsers = {
  jane: { email: "jane@acme.example", email_verified: true, name: "Jane Admin", groups: ["staff", "admins"] },
  joe: { email: "joe@acme.example", email_verified: true, name: "Joe Viewer", groups: ["staff"] },
  eve: { email: "eve@acme.example", email_verified: false, name: "Eve Unverified", groups: ["admins"] },
};

function signingKey(alg) {
  const { privateKey } =
    alg === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: `${alg}-${randomBytes(4).toString("hex")}` };
}

function loginPage(uid) {
  return `<!doctype html><meta charset="utf-8"><title>Test provider</title><h1>Test provider</h1>
<form method="post" action="/interaction/${uid}"><label>User <input name="login" autofocus></label>
<button>Sign in</button></form>`;
}

async function readBody(request) {
  let body = "";
  for await (const chunk of request) {
    body += chunk;
    if (body.length > 4096) throw new Error("body too long");
  }
  return new URLSearchParams(body);
}

/**
 * Starts a provider. `auto`: log this user in without asking. `alg`: RS256 or ES256 for id tokens. Returns {issuer, stop}.
 */
export async function startOidcProvider({
  port = 0,
  clientId = "asahi",
  clientSecret = "a client secret for tests only",
  redirectUris = [],
  users = kUsers,
  auto = "",
  alg = "RS256",
} = {}) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: redirectUris,
        grant_types: ["authorization_code"],
        response_types: ["code"],
        id_token_signed_response_alg: alg,
      },
    ],
    jwks: { keys: [signingKey("RS256"), signingKey("ES256")] },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    scopes: ["openid", "email", "profile", "groups"],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, id) =>
      users[id] ? { accountId: id, claims: () => ({ sub: id, ...users[id] }) } : undefined,
    async loadExistingGrant(context) {
      const { client, provider: owner, session } = context.oidc;
      const grant = new owner.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid email profile groups");
      await grant.save();
      return grant;
    },
  });

  const finish = (request, response, accountId) =>
    provider.interactionFinished(request, response, { login: { accountId } }, { mergeWithLastSubmission: false });
  const serve = provider.callback();
  server.on("request", async (request, response) => {
    const uid = /^\/interaction\/([\w-]+)$/.exec(new URL(request.url, issuer).pathname)?.[1];
    if (!uid) return serve(request, response);
    try {
      await provider.interactionDetails(request, response);
      if (auto) return await finish(request, response, auto);
      if (request.method === "POST") {
        const login = (await readBody(request)).get("login") ?? "";
        if (Object.hasOwn(users, login)) return await finish(request, response, login);
      }
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      response.end(loginPage(uid));
    } catch (error) {
      response.statusCode = 400;
      response.end(error.message);
    }
  });

  return {
    issuer,
    clientId,
    clientSecret,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { issuer } = await startOidcProvider(JSON.parse(process.argv[2] ?? "{}"));
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
}
