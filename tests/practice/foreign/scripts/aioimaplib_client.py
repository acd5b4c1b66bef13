"""aioimaplib: search, fetch by UID, move, and be told of mail while idling."""

import asyncio
import json
import ssl
import sys

import aioimaplib


async def main(user: str, token: str, port: str, ca_file: str) -> None:
    """Do it, and print what came out as JSON."""
    tls = ssl.create_default_context(cafile=ca_file)
    imap = aioimaplib.IMAP4_SSL("localhost", int(port), ssl_context=tls)
    await imap.wait_hello_from_server()
    await imap.xoauth2(user, token)
    await imap.protocol.capability()  # Exchange Online announces more after the login
    await imap.select("INBOX")
    found = (await imap.uid_search("UNDELETED LARGER 10", charset=None)).lines[0].split()
    fetched = await imap.uid("fetch", found[0].decode(), "(FLAGS BODY.PEEK[HEADER])")
    await imap.append(b"Subject: by aioimaplib\r\n\r\nx\r\n", mailbox="Drafts")
    await imap.select("Drafts")
    last = (await imap.uid_search("SUBJECT aioimaplib", charset=None)).lines[0].split()[-1]
    moved = await imap.uid("move", last.decode(), "INBOX")
    await imap.select("INBOX")
    await imap.idle_start(timeout=30)
    other = aioimaplib.IMAP4_SSL("localhost", int(port), ssl_context=tls)
    await other.wait_hello_from_server()
    await other.xoauth2(user, token)
    await other.append(b"Subject: while idling\r\n\r\nx\r\n", mailbox="INBOX")
    told = await imap.wait_server_push()
    imap.idle_done()
    await other.logout()
    await imap.logout()
    result = {
        "capability": imap.has_capability("MOVE"),
        "found": b"FETCH" in fetched.lines[0],
        "exists": any(b"EXISTS" in line for line in told),
        "moved": moved.result,
    }
    print(json.dumps(result))


asyncio.run(main(*sys.argv[1:]))
