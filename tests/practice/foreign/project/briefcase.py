"""A tiny mail program: it knows nothing of msoauth, only where its servers are.

python briefcase.py CONFIG.json                  lists the unread subjects of a mailbox
python briefcase.py CONFIG.json --send ADDRESS   sends that list there
"""

import base64
import email
import email.policy
import imaplib
import json
import smtplib
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


def access_token(config: dict[str, Any], tls: ssl.SSLContext) -> str:
    """A new access token by the refresh token; a refusal is an error in Microsoft's words."""
    form = {
        "grant_type": "refresh_token",
        "client_id": config["client_id"],
        "client_secret": config["client_secret"],
        "refresh_token": config["refresh_token"],
    }
    body = urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(config["token_url"], body, timeout=30, context=tls) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])
    except urllib.error.HTTPError as refused:
        with refused:
            sys.exit(f"sign in again: {json.load(refused)['error_description']}")


def unread(config: dict[str, Any], token: str, tls: ssl.SSLContext) -> list[str]:
    """The subjects of the unread mail."""
    said = f"user={config['user']}\x01auth=Bearer {token}\x01\x01".encode()
    with imaplib.IMAP4_SSL(config["imap_host"], config["imap_port"], ssl_context=tls) as imap:
        imap.authenticate("XOAUTH2", lambda _challenge: said)
        imap.select("INBOX", readonly=True)
        subjects = []
        for number in imap.search(None, "UNSEEN")[1][0].split():
            found = imap.fetch(number, "(BODY.PEEK[HEADER])")[1][0][1]
            mail = email.message_from_bytes(found, policy=email.policy.default)
            subjects.append(str(mail["Subject"]))
        return subjects


def send(
    config: dict[str, Any], token: str, tls: ssl.SSLContext, to: str, subjects: list[str]
) -> None:
    """Send the list of subjects."""
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = config["user"], to, f"{len(subjects)} unread"
    mail.set_content("\n".join(subjects))
    said = f"user={config['user']}\x01auth=Bearer {token}\x01\x01".encode()
    with smtplib.SMTP(config["smtp_host"], config["smtp_port"]) as smtp:
        smtp.starttls(context=tls)
        smtp.ehlo()
        code, answer = smtp.docmd("AUTH", f"XOAUTH2 {base64.b64encode(said).decode()}")
        if code != 235:
            sys.exit(f"sending is refused: {code} {answer.decode()}")
        smtp.send_message(mail)


def main() -> None:
    """Run."""
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        config = json.load(file)
    tls = ssl.create_default_context()
    token = access_token(config, tls)
    subjects = unread(config, token, tls)
    if "--send" in sys.argv:
        send(config, token, tls, sys.argv[-1], subjects)
    print(json.dumps(subjects, ensure_ascii=False))


if __name__ == "__main__":
    main()
