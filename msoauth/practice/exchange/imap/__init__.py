"""Exchange Online's IMAP (RFC 3501 with the banners and refusals of facts E3)."""
