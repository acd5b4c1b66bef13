"""The practice tenant's mail servers: POP3, IMAP and SMTP submission with Exchange Online's replies (facts E)."""

from msoauth.practice.exchange.servers import ExchangeServers, start_exchange
from msoauth.practice.exchange.service import Limits, Timing

__all__ = ["ExchangeServers", "Limits", "Timing", "start_exchange"]
