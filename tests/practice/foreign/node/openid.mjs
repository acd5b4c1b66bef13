// openid-client: discovery (it compares the issuer), code with PKCE, ID token, userinfo, refresh, device code.
import * as client from "openid-client";
import { end, report, signIn, told } from "./session.mjs";

const site = new URL(`${told.authority}/v2.0`);
const config = await client.discovery(site, told.web.client_id, told.web.client_secret);
report("issuer", config.serverMetadata().issuer);
// The pages are plain HTTP on this computer, so that browsers open them without a certificate warning.
client.allowInsecureRequests(config);
const verifier = client.randomPKCECodeVerifier();
const nonce = client.randomNonce();
const state = client.randomState();
const page = client.buildAuthorizationUrl(config, {
  redirect_uri: "http://localhost:8400/callback", scope: "openid profile email offline_access", nonce, state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
});
const back = new URL(await signIn(page));
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true,
});
const user = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
report("user", user.email);
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
report("renewed", renewed.claims().sub === tokens.claims().sub);

const desktop = await client.discovery(site, told.desktop.client_id, undefined, client.None());
const device = await client.initiateDeviceAuthorization(desktop, { scope: told.scopes.join(" ") });
await signIn(device.verification_uri, device.user_code);
report("device", (await client.pollDeviceAuthorizationGrant(desktop, device)).scope.split(" ").sort());
const refusal = await client.refreshTokenGrant(config, "nonsense").catch((error) => error);
report("refusal", { status: refusal.status, error: refusal.error, text: refusal.error_description });
end();
