// @azure/msal-node: code with PKCE, device code, refresh, app-only, and a refusal.
import * as msal from "@azure/msal-node";
import { end, report, signIn, told } from "./session.mjs";

const auth = { authority: told.authority, knownAuthorities: [new URL(told.authority).host] };
const web = new msal.ConfidentialClientApplication({
  auth: { ...auth, clientId: told.web.client_id, clientSecret: told.web.client_secret },
});
const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
const asked = { scopes: told.scopes, redirectUri: "http://localhost:8400" };
const page = await web.getAuthCodeUrl({
  ...asked, codeChallenge: challenge, codeChallengeMethod: "S256", state: "s",
});
const back = new URL(await signIn(page));
const byCode = await web.acquireTokenByCode({
  ...asked, code: back.searchParams.get("code"), codeVerifier: verifier,
});
report("code", { user: byCode.account.username, scopes: byCode.scopes, token: byCode.accessToken });
const silent = await web.acquireTokenSilent({ account: byCode.account, scopes: told.scopes, forceRefresh: true });
report("silent", silent.accessToken !== byCode.accessToken);

const desktop = new msal.PublicClientApplication({ auth: { ...auth, clientId: told.desktop.client_id } });
const byDevice = await desktop.acquireTokenByDeviceCode({
  scopes: told.scopes, deviceCodeCallback: (info) => signIn(info.verificationUri, info.userCode),
});
report("device", { user: byDevice.account.username, token: byDevice.accessToken });

const service = (secret) => new msal.ConfidentialClientApplication({
  auth: { ...auth, clientId: told.service.client_id, clientSecret: secret },
});
const all = { scopes: ["https://outlook.office365.com/.default"] };
report("app", (await service(told.service.client_secret).acquireTokenByClientCredential(all)).tokenType);
const refusal = await service("wrong").acquireTokenByClientCredential(all).catch((error) => error);
report("refusal", { code: refusal.errorCode, message: refusal.errorMessage, correlation: refusal.correlationId });
end();
