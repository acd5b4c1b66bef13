"""Azure Resource Manager without any subscription: all that azure-cli asks for beside the authority."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme


class _Manager(ThreadingHTTPServer):
    """The server; its metadata name the authority."""

    metadata: dict[str, object]


class _NoSubscriptions(BaseHTTPRequestHandler):
    server: _Manager

    def do_GET(self) -> None:
        metadata = self.path.startswith("/metadata/endpoints")
        body = json.dumps(self.server.metadata if metadata else {"value": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_about: object) -> None:
        """Log nothing."""


@contextmanager
def resource_manager(authority: str) -> Iterator[tuple[str, bytes]]:
    """Run it for an authority until the block ends; its address, and its certificate authority."""
    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    server = _Manager(("127.0.0.1", 0), _NoSubscriptions)
    url = f"https://localhost:{server.server_address[1]}"
    server.metadata = {
        "name": "practice",
        "authentication": {
            "loginEndpoint": authority,
            "audiences": ["https://outlook.office365.com"],
        },
        "resourceManager": url,
        "graphAudience": "https://graph.microsoft.com",
        "microsoftGraphResourceId": "https://graph.microsoft.com",
        "suffixes": {},
    }
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield url, ca.cert_pem.bytes()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
