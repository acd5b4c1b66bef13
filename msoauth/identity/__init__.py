"""Sign-in, silent renewal and probes of a registration. The only room that knows msal."""
