"""The practice tenant: a simulated Microsoft 365 tenant (Entra ID, Graph, Exchange Online) in one local process.

People try msoauth on it, and tests run against it. A firm is a law firm: one tenant of it, with its apps and users.

In comments, "facts E4" is a section of docs/facts, where what is known of Microsoft's servers has its source;
"unverified" marks what no documentation or recording of them confirms.
"""

from msoauth.practice.server import PracticeTenant

__all__ = ["PracticeTenant"]
