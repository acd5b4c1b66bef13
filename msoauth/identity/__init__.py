"""Signs users in, renews their tokens silently, and probes app registrations; the only importer of msal."""
