"""Who can mend a cause, in words."""

from msoauth.texts import _


def who_in_words(who: str) -> str:
    """Whom *who* (``user``, ``tenant-admin``, ``consultant``, ``microsoft`` or nothing) stands for."""
    return {
        "user": _("the user"),
        "tenant-admin": _("an administrator of the firm's Microsoft 365"),
        "consultant": _("you, in msoauth"),
        "microsoft": _("Microsoft"),
    }.get(who, who or _("not known"))
