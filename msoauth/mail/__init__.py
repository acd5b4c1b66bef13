"""Mail over POP3, IMAP and SMTP with XOAUTH2: sessions with a transcript, retrieval, storing, and the test mail."""
