"""The practice tenant: a whole Microsoft 365 tenant in one local process."""
