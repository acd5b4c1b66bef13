"""Mail transport: connections that show their work, POP3, IMAP and SMTP with XOAUTH2. Never deletes."""
