"""The practice tenant's simulation of Graph: apps, consent and assignments as Graph returns them (facts G2).

Properties that the facts do not list are left out or marked as unverified.
"""

import base64
import hashlib
from datetime import UTC, datetime
from uuid import UUID

from msoauth.practice import permissions
from msoauth.practice.graph.query import Row
from msoauth.practice.registrations import AppRegistration, ClientSecret, ServicePrincipal
from msoauth.practice.state import Tenant

# The tenant that owns Microsoft's own apps; from memory, not verified against Microsoft's documentation.
MICROSOFT_TENANT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"


def graph_time(when: datetime) -> str:
    """A time as Graph writes it, with seven digits of a second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def stable_id(*parts: str) -> str:
    """An id of a grant or assignment: 43 characters, always the same for the same parts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def stable_guid(*parts: str) -> str:
    """A GUID, always the same for the same parts."""
    return str(UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16], version=4))


def secret(entry: ClientSecret) -> Row:
    """A passwordCredential; as in Graph, without the secret's value."""
    return {
        "customKeyIdentifier": None,
        "displayName": entry.display_name,
        "endDateTime": graph_time(entry.end),
        "hint": entry.hint,
        "keyId": entry.key_id,
        "secretText": None,
        "startDateTime": graph_time(entry.start),
    }


def application(tenant: Tenant, app: AppRegistration) -> Row:
    """An application: the registration."""
    by_resource: dict[str, list[Row]] = {}
    for resource, name, kind in app.required:
        permission = permissions.permission(resource, name, kind)
        # Entra accepts ids that the resource does not offer, and shows them as they are (facts G3).
        by_resource.setdefault(resource, []).append(
            {"id": permission.id if permission else name, "type": kind}
        )
    return {
        "id": app.object_id,
        "deletedDateTime": None,
        "appId": app.app_id,
        "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None,
        "createdDateTime": graph_time(app.created),
        "displayName": app.display_name,
        "identifierUris": [],
        "isFallbackPublicClient": app.is_fallback_public_client or None,
        "publisherDomain": tenant.domain,
        "signInAudience": app.sign_in_audience,
        "tags": [],
        "api": {
            "requestedAccessTokenVersion": None,
            "acceptMappedClaims": None,
            "knownClientApplications": [],
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
        },
        "appRoles": [],
        "publicClient": {"redirectUris": list(app.public_client_redirect_uris)},
        "info": {
            "termsOfServiceUrl": None,
            "supportUrl": None,
            "privacyStatementUrl": None,
            "marketingUrl": None,
            "logoUrl": None,
        },
        "keyCredentials": [],
        "passwordCredentials": [secret(entry) for entry in app.secrets],
        "requiredResourceAccess": [
            {"resourceAppId": resource, "resourceAccess": access}
            for resource, access in by_resource.items()
        ],
        "web": {
            "redirectUris": list(app.web_redirect_uris),
            "homePageUrl": None,
            "logoutUrl": None,
            "implicitGrantSettings": {
                "enableIdTokenIssuance": False,
                "enableAccessTokenIssuance": False,
            },
        },
        "spa": {"redirectUris": list(app.spa_redirect_uris)},
        "verifiedPublisher": _verified_publisher(app),
    }


def applications(tenant: Tenant) -> list[Row]:
    """The registrations of a tenant."""
    return [application(tenant, app) for app in tenant.apps if not app.deleted]


def service_principal(principal: ServicePrincipal, owner: str) -> Row:
    """A servicePrincipal: the enterprise application; *owner* is the app's home tenant."""
    app = principal.app
    return {
        "id": principal.object_id,
        "deletedDateTime": None,
        "accountEnabled": principal.account_enabled,
        "appDisplayName": app.display_name,
        "appId": app.app_id,
        "appOwnerOrganizationId": owner,
        "appRoleAssignmentRequired": principal.app_role_assignment_required,
        "createdDateTime": graph_time(app.created),
        "disabledByMicrosoftStatus": None,
        "displayName": app.display_name,
        "replyUrls": [
            *app.web_redirect_uris,
            *app.public_client_redirect_uris,
            *app.spa_redirect_uris,
        ],
        "servicePrincipalNames": [app.app_id],
        "servicePrincipalType": "Application",
        "signInAudience": app.sign_in_audience,
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
        "appRoles": [],
        "keyCredentials": [],
        "oauth2PermissionScopes": [],
        "passwordCredentials": [],
        "verifiedPublisher": _verified_publisher(app),
    }


def _verified_publisher(app: AppRegistration) -> Row:
    verified = app.verified_publisher
    return {
        "displayName": app.display_name if verified else None,
        "verifiedPublisherId": "1234567" if verified else None,
        "addedDateTime": graph_time(app.created) if verified else None,
    }


def resource_principal(tenant: Tenant, resource: str) -> Row:
    """The service principal of Microsoft Graph or Exchange Online, with the permissions that it offers."""
    name = permissions.RESOURCE_NAMES[resource]
    return {
        "id": tenant.resource_ids[resource],
        "deletedDateTime": None,
        "accountEnabled": True,
        "appDisplayName": name,
        "appId": resource,
        "appOwnerOrganizationId": MICROSOFT_TENANT,
        "appRoleAssignmentRequired": False,
        "createdDateTime": None,
        "disabledByMicrosoftStatus": None,
        "displayName": name,
        "replyUrls": [],
        "servicePrincipalNames": [resource],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMultipleOrgs",
        "tags": [],
        "appRoles": [
            {
                "allowedMemberTypes": ["Application"],
                "description": offer.says,
                "displayName": offer.says,
                "id": offer.id,
                "isEnabled": True,
                "origin": "Application",
                "value": offer.value,
            }
            for offer in permissions.offered(resource, "Role")
        ],
        "keyCredentials": [],
        "oauth2PermissionScopes": [
            {
                "adminConsentDescription": offer.says,
                "adminConsentDisplayName": offer.says,
                "id": offer.id,
                "isEnabled": True,
                "type": "Admin" if offer.admin_only else "User",
                "userConsentDescription": offer.says,
                "userConsentDisplayName": offer.says,
                "value": offer.value,
            }
            for offer in permissions.offered(resource, "Scope")
        ],
        "passwordCredentials": [],
    }


def grants(tenant: Tenant) -> list[Row]:
    """Every oauth2PermissionGrant: one for each client, resource, and user or everybody."""
    rows = []
    for principal in tenant.principals:
        consents: list[tuple[str | None, dict[str, set[str]]]] = [(None, principal.admin_consent)]
        consents += [(user, consent) for user, consent in principal.user_consent.items()]
        for user, consent in consents:
            for resource, names in consent.items():
                if names and resource in tenant.resource_ids:
                    rows.append(
                        {
                            "clientId": principal.object_id,
                            "consentType": "Principal" if user else "AllPrincipals",
                            "id": stable_id(principal.object_id, resource, user or ""),
                            "principalId": user,
                            "resourceId": tenant.resource_ids[resource],
                            "scope": " ".join(sorted(names)),
                        }
                    )
    return rows


def role_assignments(tenant: Tenant, principal: ServicePrincipal) -> list[Row]:
    """The application permissions that an app holds."""
    rows = []
    for resource, names in principal.app_roles.items():
        for name in sorted(names):
            permission = permissions.permission(resource, name, "Role")
            if permission is not None and resource in tenant.resource_ids:
                rows.append(
                    {
                        "id": stable_id(principal.object_id, resource, name),
                        "deletedDateTime": None,
                        "createdDateTime": graph_time(principal.app.created),
                        "appRoleId": permission.id,
                        "principalDisplayName": principal.app.display_name,
                        "principalId": principal.object_id,
                        "principalType": "ServicePrincipal",
                        "resourceDisplayName": permissions.RESOURCE_NAMES[resource],
                        "resourceId": tenant.resource_ids[resource],
                    }
                )
    return rows


def assigned_to(tenant: Tenant, principal: ServicePrincipal) -> list[Row]:
    """The users and groups that are assigned to an app; it defines no roles, so it is the default one."""
    users = {user.id: user for user in tenant.users.values()} if principal.assigned_users else {}
    groups = {group.id: group for group in tenant.groups if group.id in principal.assigned_groups}
    names = {id_: ("Group", group.display_name) for id_, group in groups.items()}
    names |= {i: ("User", users[i].display_name) for i in principal.assigned_users & users.keys()}
    return [
        {
            "id": stable_id(principal.object_id, principal_id),
            "deletedDateTime": None,
            "createdDateTime": graph_time(principal.app.created),
            "appRoleId": "00000000-0000-0000-0000-000000000000",
            "principalDisplayName": names[principal_id][1],
            "principalId": principal_id,
            "principalType": names[principal_id][0],
            "resourceDisplayName": principal.app.display_name,
            "resourceId": principal.object_id,
        }
        for principal_id in sorted(names)
    ]
