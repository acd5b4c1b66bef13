"""The practice tenant: a whole Microsoft 365 tenant in one local process."""

from msoauth.practice.server import PracticeTenant

__all__ = ["PracticeTenant"]
