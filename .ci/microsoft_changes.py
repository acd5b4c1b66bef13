"""Names the entries of msoauth/microsoft_changes.toml whose source was read more than six months ago; exits with 1 for one."""

import sys

from msoauth.microsoft_changes import changes

stale = [change for change in changes().values() if change.is_stale()]
for change in stale:
    print(f"{change.id}: last read on {change.read}, read it again: {change.source}")
print(f"{len(stale)} of {len(changes())} dated changes of Microsoft's must be read again")
sys.exit(bool(stale))
