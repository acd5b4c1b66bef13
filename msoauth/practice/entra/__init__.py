"""Entra ID of the practice tenant: sign-in pages, consent, and the token endpoint."""
