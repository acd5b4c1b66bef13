// nodemailer and imapflow: send with a token and with a refresh token, then find, read, move and be told of mail.
import { ImapFlow } from "imapflow";
import nodemailer from "nodemailer";
import { end, report, told } from "./session.mjs";

const mail = { from: told.user, to: told.user, subject: "Klage ./. Müller", text: "Grüße\n.\n..\n" };
const smtp = { host: "localhost", port: told.smtp, requireTLS: true };
const pool = nodemailer.createTransport({
  ...smtp, pool: true, maxConnections: 2, auth: { type: "OAuth2", user: told.user, accessToken: told.token },
});
const sent = await Promise.all([1, 2, 3].map((n) => pool.sendMail({ ...mail, subject: `${mail.subject} ${n}` })));
report("sent", sent.map((done) => done.response));
pool.close();
const renewing = nodemailer.createTransport({
  ...smtp,
  auth: {
    type: "OAuth2", user: told.user, clientId: told.web.client_id, clientSecret: told.web.client_secret,
    refreshToken: told.refresh, accessUrl: `${told.authority}/oauth2/v2.0/token`,
  },
});
report("verified", await renewing.verify());
const wrong = nodemailer.createTransport({ ...smtp, auth: { type: "OAuth2", user: told.user, accessToken: "x" } });
const refused = await wrong.sendMail(mail).catch((error) => error);
report("refused", { code: refused.responseCode, text: refused.response });

const connect = (token) => new ImapFlow({
  host: "localhost", port: told.imap, secure: true, logger: false, auth: { user: told.user, accessToken: token },
});
const denied = connect("x");
report("denied", (await denied.connect().catch((error) => error)).responseText);
const imap = connect(told.token);
await imap.connect();
const folders = await imap.list();
report("folders", folders.filter((f) => f.specialUse).map((f) => [f.path, f.specialUse]));
await imap.mailboxCreate("Akten/Müller");
await imap.mailboxOpen("INBOX");
const found = await imap.search({ seen: false, subject: "Klage", not: { deleted: true } }, { uid: true });
report("found", found.length);
const one = await imap.fetchOne(found[0], { envelope: true, bodyStructure: true, source: true, flags: true }, { uid: true });
report("one", { subject: one.envelope.subject, type: one.bodyStructure.type, source: one.source.length > 100 });
await imap.messageFlagsAdd(found, ["\\Seen"], { uid: true });
const moved = await imap.messageMove(found, "Akten/Müller", { uid: true });
report("moved", [...moved.uidMap.values()]);
const put = await imap.append("INBOX", "Subject: put\r\n\r\nx\r\n", ["\\Flagged"], new Date("2026-11-02T10:00:00Z"));
report("put", Boolean(put.uid));
const status = await imap.status("Akten/Müller", { messages: true, unseen: true, uidNext: true, uidValidity: true });
report("status", [status.messages, status.unseen, status.uidNext]);
const arrived = new Promise((resolve) => imap.once("exists", resolve));
const idling = imap.idle();
await renewing.sendMail({ ...mail, subject: "while idling" });
report("told", (await arrived).count > 0);
await imap.messageDelete({ flagged: true });
await imap.mailboxDelete("Akten/Müller");
await idling;
await imap.logout();
renewing.close();
wrong.close();
end();
