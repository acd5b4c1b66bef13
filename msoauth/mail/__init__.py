"""Mail over POP3, IMAP and SMTP with XOAUTH2: sessions with a transcript, retrieval, storing, and the test mail.

In comments, "facts E4" is a section of docs/facts, where what is known of servers has its source; "exchange-dev" is
Microsoft's documentation for developers of mail programs.
"""
