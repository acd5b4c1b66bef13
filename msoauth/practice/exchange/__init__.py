"""Exchange Online's mail servers: POP3, IMAP and SMTP submission, word for word as facts E has them."""

from msoauth.practice.exchange.servers import ExchangeServers, start_exchange
from msoauth.practice.exchange.service import Limits, Timing

__all__ = ["ExchangeServers", "Limits", "Timing", "start_exchange"]
