"""Runs POP3, IMAP and SMTP servers that break the protocol in the way that a test asks for."""

import base64
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from msoauth.clouds import Endpoint
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.smtp import SmtpSession

USER = "anna@contoso.example"
TOKEN = "planted-marker-of-a-token-0123456789"
CHALLENGE = base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode()
MAILS = (
    b"Subject: Eins\r\n\r\n.\r\n..zwei\r\n",
    b"Subject: Zwei\r\n\r\nbare\nLF \x00 \xff\r\n",
)


class GoneError(Exception):
    """The connection was closed, by the client or on purpose by the server."""


@dataclass
class Faults:
    """How a server misbehaves. Replies are counted from 0.

    Attributes:
        drop_at: Close the connection after so many bytes.
        reset: Close it by a TCP reset.
        stall_at: Send nothing from this reply on.
        drip: Seconds between two bytes.
        twice_at: Send this reply twice in one piece.
        change: Returns what to send, given a reply's number and the right reply.
        tls: Replaces the TLS handshake.
    """

    drop_at: int | None = None
    reset: bool = False
    stall_at: int | None = None
    drip: float = 0.0
    twice_at: int | None = None
    change: Callable[[int, bytes], bytes] = lambda _number, reply: reply
    tls: Callable[["Peer"], None] | None = None


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    faults: Faults
    context: ssl.SSLContext
    ended: threading.Event
    received: list[bytes] = field(default_factory=list)
    sent: int = 0
    replies: int = 0
    _unread: bytes = b""

    def start_tls(self) -> None:
        if self.faults.tls is not None:
            self.faults.tls(self)
            return
        try:
            self.sock = self.context.wrap_socket(self.sock, server_side=True)
        except OSError:
            raise GoneError from None

    def say(self, reply: bytes) -> None:
        """Send one reply with the faults that apply to it."""
        number = self.replies
        self.replies += 1
        if number == self.faults.stall_at:
            self.ended.wait(60)
            raise GoneError
        reply = self.faults.change(number, reply)
        if number == self.faults.twice_at:
            reply *= 2
        if self.faults.drop_at is not None and self.sent + len(reply) >= self.faults.drop_at:
            self.raw(reply[: self.faults.drop_at - self.sent])
            self.leave()
        self.sent += len(reply)
        if not self.faults.drip:
            self.raw(reply)
            return
        for byte in reply:
            if self.ended.wait(self.faults.drip):
                raise GoneError
            self.raw(bytes([byte]))

    def raw(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            raise GoneError from None

    def leave(self) -> None:
        if self.faults.reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise GoneError

    def line(self) -> bytes:
        """The client's next line."""
        while b"\n" not in self._unread:
            try:
                received = self.sock.recv(65536)
            except OSError:
                raise GoneError from None
            if not received:
                raise GoneError
            self._unread += received
        line, _end, self._unread = self._unread.partition(b"\n")
        self.received.append(line.rstrip(b"\r"))
        return self.received[-1]


Script = Callable[[Peer], None]


def pop3(peer: Peer) -> None:
    """Converse as a correct POP3 server with two messages."""
    peer.start_tls()
    peer.say(b"+OK ready\r\n")
    capabilities = b"+OK\r\nTOP\r\nUIDL\r\nPIPELINING\r\nSASL XOAUTH2\r\n.\r\n"
    while True:
        command = peer.line()
        verb, _blank, rest = command.partition(b" ")
        if verb == b"CAPA":
            peer.say(capabilities)
        elif verb == b"AUTH":
            peer.say(b"+ \r\n")
            peer.line()
            peer.say(b"+OK logged in\r\n")
        elif verb == b"STAT":
            peer.say(b"+OK 2 %d\r\n" % sum(map(len, MAILS)))
        elif verb == b"LIST":
            peer.say(b"+OK\r\n1 %d\r\n2 %d\r\n.\r\n" % tuple(map(len, MAILS)))
        elif verb == b"UIDL":
            peer.say(b"+OK\r\n1 aaa\r\n2 bbb\r\n.\r\n")
        elif verb == b"RETR" and int(rest) > len(MAILS):
            peer.say(b"-ERR no such message\r\n")
        elif verb == b"RETR":
            peer.say(b"+OK\r\n" + stuffed(MAILS[int(rest) - 1]) + b".\r\n")
        elif verb == b"QUIT":
            peer.say(b"+OK bye\r\n")
            raise GoneError
        else:
            peer.say(b"-ERR what?\r\n")


def stuffed(mail: bytes) -> bytes:
    return (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]


def imap(peer: Peer) -> None:
    """A good IMAP server with two messages."""
    peer.start_tls()
    peer.say(b"* OK ready\r\n")
    while True:
        tag, _blank, command = peer.line().partition(b" ")
        verb = command.split(b" ")[0]
        if verb == b"CAPABILITY":
            peer.say(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n%b OK done\r\n" % tag)
        elif verb == b"AUTHENTICATE":
            peer.say(b"%b OK logged in\r\n" % tag)
        elif verb == b"EXAMINE":
            peer.say(b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n%b OK [READ-ONLY] done\r\n" % tag)
        elif verb == b"FETCH":
            lines = [
                b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (n, n + 10, len(mail))
                for n, mail in enumerate(MAILS, 1)
            ]
            peer.say(b"".join(lines) + b"%b OK done\r\n" % tag)
        elif verb == b"UID":
            bodies = [
                b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (n, n + 10, len(mail), mail)
                for n, mail in enumerate(MAILS, 1)
                if b"%d" % (n + 10) in command
            ]
            peer.say(b"".join(bodies) + b"%b OK done\r\n" % tag)
        elif verb == b"LOGOUT":
            peer.say(b"* BYE\r\n%b OK bye\r\n" % tag)
            raise GoneError
        else:
            peer.say(b"%b BAD what?\r\n" % tag)


def smtp(peer: Peer) -> None:
    """Converse as a correct submission server."""
    encrypted = False
    peer.say(b"220 ready\r\n")
    while True:
        verb = peer.line().split(b" ")[0]
        if verb == b"EHLO":
            offered = b"AUTH XOAUTH2" if encrypted else b"STARTTLS"
            peer.say(b"250-hello\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250 %b\r\n" % offered)
        elif verb == b"STARTTLS":
            peer.say(b"220 go ahead\r\n")
            peer.start_tls()
            encrypted = True
        elif verb == b"AUTH":
            peer.say(b"334 \r\n")
            peer.line()
            peer.say(b"235 logged in\r\n")
        elif verb == b"DATA":
            peer.say(b"354 go on\r\n")
            while peer.line() != b".":
                pass
            peer.say(b"250 2.0.0 OK queued\r\n")
        elif verb == b"QUIT":
            peer.say(b"221 bye\r\n")
            raise GoneError
        else:
            peer.say(b"250 ok\r\n")


SCRIPTS: dict[str, Script] = {"pop3": pop3, "imap": imap, "smtp": smtp}


@dataclass
class Hostile:
    """A running server of one protocol."""

    protocol: str
    port: int
    ca_file: str
    faults: Faults
    peers: list[Peer] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            "localhost", self.port, "starttls" if self.protocol == "smtp" else "implicit"
        )

    def received(self) -> list[bytes]:
        """Every line that any client sent."""
        return [line for peer in self.peers for line in peer.received]

    def open(self, timeout: float = 20.0) -> Pop3Session | ImapSession | SmtpSession:
        openers: dict[str, Callable[..., Pop3Session | ImapSession | SmtpSession]] = {
            "pop3": Pop3Session.open,
            "imap": ImapSession.open,
            "smtp": SmtpSession.open,
        }
        return openers[self.protocol](
            self.endpoint, USER, TOKEN, timeout=timeout, ca_file=self.ca_file
        )


@contextmanager
def hostile(
    protocol: str, context: ssl.SSLContext, ca_file: str, script: Script | None = None
) -> Iterator[Hostile]:
    """Run a server; its ``faults`` can be changed between connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    server = Hostile(protocol, listener.getsockname()[1], ca_file, Faults())
    threads: list[threading.Thread] = []

    def converse(peer: Peer) -> None:
        try:
            with suppress(GoneError):
                (script or SCRIPTS[protocol])(peer)
        finally:
            with suppress(OSError):
                peer.sock.close()

    def serve() -> None:
        while True:
            try:
                sock, _address = listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            peer = Peer(sock, server.faults, context, ended)
            server.peers.append(peer)
            thread = threading.Thread(target=converse, args=(peer,), daemon=True)
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(20)
        for peer in server.peers:
            with suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(20)
