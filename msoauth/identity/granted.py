"""A token cache out of a grant that was made elsewhere."""

from collections.abc import Mapping
from typing import Any

import msal

from msoauth import redact
from msoauth.identity.authority import configuration
from msoauth.model import Firm


def cache_of(firm: Firm, grant: Mapping[str, Any]) -> str:
    """The token cache, as msal keeps it, for a grant: ``refresh_token``, ``client_info``, ``scope`` and
    ``id_token_claims``, as a token answer has them.

    Raises:
        AuthError: the authority cannot be reached.
    """
    redact.remember(grant["refresh_token"])
    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": firm.client_id,
            "scope": str(grant["scope"]).split(),
            "token_endpoint": configuration(firm.cloud, firm.tenant)["token_endpoint"],
            "response": {
                "token_type": "Bearer",
                "refresh_token": grant["refresh_token"],
                "client_info": grant["client_info"],
                "id_token_claims": dict(grant["id_token_claims"]),
                "scope": grant["scope"],
            },
        }
    )
    return str(cache.serialize())
