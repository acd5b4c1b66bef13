"""msgraph-sdk: users page by page, an advanced filter, oneself, and an error object."""

import asyncio
import json
import sys

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

Parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters


class Token(AccessTokenProvider):
    """The token that the program was given."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def get_authorization_token(self, uri, additional_authentication_context=None) -> str:
        return self.token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["localhost"])


async def main(graph: str, token: str) -> None:
    """Do it, and print what came out as JSON."""
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token(token)))
    adapter.base_url = f"{graph}v1.0"
    client = GraphServiceClient(request_adapter=adapter)
    paged = Parameters(top=2, select=["userPrincipalName"], count=True)
    page = await client.users.get(RequestConfiguration(query_parameters=paged))
    count, users = page.odata_count, []
    while page is not None:
        users += [user.user_principal_name for user in page.value]
        link = page.odata_next_link
        page = await client.users.with_url(link).get() if link else None
    like = RequestConfiguration(
        query_parameters=Parameters(
            filter="endsWith(userPrincipalName,'weiss@contoso.example')",
            count=True,
            orderby=["displayName"],
        )
    )
    like.headers.add("ConsistencyLevel", "eventual")
    found = await client.users.get(like)
    me = await client.me.get()
    try:
        await client.users.by_user_id("nobody@contoso.example").get()
        refused = ""
    except ODataError as error:
        refused = error.error.code
    print(
        json.dumps(
            {
                "users": users,
                "count": count,
                "like": [user.user_principal_name for user in found.value],
                "me": me.user_principal_name,
                "refused": refused,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
