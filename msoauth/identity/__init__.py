"""Signs users in, renews their tokens silently, and probes app registrations; the only importer of msal.

A firm is a law firm: one customer's tenant and app registration. Labels such as "facts C2" refer to docs/facts.
"""
