// The certified OpenID provider `oidc-provider`, with as little of our own as it takes to run without people:
// its clients, its users, and interactions that a person would click through.
// Usage: node oidc_server.mjs CERTIFICATE KEY TENANT; prints its port.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Provider, interactionPolicy } from "oidc-provider";

const [certificate, key, tenant] = process.argv.slice(2);
const mount = `/${tenant}/v2.0`;
const grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
const shared = { grant_types: grants, response_types: ["code"], redirect_uris: ["http://localhost"], application_type: "native" };

const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: "select_account", requestable: true }), 0);

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`https://localhost:${port}${mount}`, {
    clients: [
      { ...shared, client_id: "public", token_endpoint_auth_method: "none" },
      { ...shared, client_id: "confidential", client_secret: "a-client-secret-for-the-tests-only", token_endpoint_auth_method: "client_secret_post" },
    ],
    cookies: { keys: ["a key for the tests only"] },
    claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
    conformIdTokenClaims: false,
    scopes: ["openid", "offline_access", "profile", "https://outlook.office.com/POP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"],
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: id, preferred_username: id }) }),
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true } },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, DeviceCode: 600, IdToken: 3600, RefreshToken: 86400, Interaction: 600, Grant: 86400, Session: 86400 },
  });
  const answer = provider.callback();

  // Whoever comes here with ?user=… on an earlier request's cookie signs in as that user and consents to everything.
  async function interact(request, response) {
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    const user = session?.accountId ?? decodeURIComponent(/test_user=([^;]+)/.exec(request.headers.cookie)[1]);
    if (prompt.name !== "consent") {
      return provider.interactionFinished(request, response, { select_account: {}, login: { accountId: user } });
    }
    if (/test_refuses=1/.test(request.headers.cookie)) {
      return provider.interactionFinished(request, response, { error: "access_denied", error_description: "The user pressed Cancel." });
    }
    const grant = new provider.Grant({ accountId: user, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  }

  server.on("request", (request, response) => {
    if (request.url.startsWith("/interaction/")) {
      interact(request, response).catch((problem) => { response.statusCode = 500; response.end(String(problem.stack)); });
      return;
    }
    request.originalUrl = request.url;
    request.url = request.url.replace(mount, "") || "/";
    // OpenID Connect keeps offline_access only where consent is asked for anew; Entra keeps it always, and msoauth
    // does not ask people for consent at every sign-in.
    if (request.url.startsWith("/auth?")) {
      const url = new URL(request.url, "https://localhost");
      url.searchParams.set("prompt", `${url.searchParams.get("prompt") ?? ""} consent`.trim());
      request.url = url.pathname + url.search;
    }
    answer(request, response);
  });
  console.log(port);
});
