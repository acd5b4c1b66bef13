"""Decide which page of a sign-in comes next: account, confirmation, consent, or the redirect to the app."""

from msoauth.practice.entra import consent, scopes
from msoauth.practice.entra.clients import is_consumers
from msoauth.practice.entra.pages import Flow, Page, Session
from msoauth.practice.entra.policy import HIDDEN, SignIn, check_access
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import EXCHANGE_APP_ID, Tenant, User


class FlowPage(Page):
    """A page of a sign-in: it can ask for the account, show the next page, and ask for consent."""

    # -- which account -----------------------------------------------------------------------------------

    def matching_sessions(self, flow: Flow) -> list[Session]:
        """The sessions of this browser that belong to the tenant of the request, and to its login_hint."""
        hint = flow.parameters.get("login_hint", "").strip().lower()
        tenant = flow.client.tenant
        return [
            s
            for s in self.sessions()
            if (tenant is None or s.tenant is tenant) and (not hint or s.user.upn.lower() == hint)
        ]

    def choose(self, flow: Flow) -> None:
        """Determine who signs in: the user of a browser session, or one whom the picker or user name page asks for."""
        prompt = flow.parameters.get("prompt", "")
        hint = flow.parameters.get("login_hint", "").strip()
        all_sessions, matching = self.sessions(), self.matching_sessions(flow)
        if is_consumers(flow.client.path):
            all_sessions = matching = []  # there are no personal accounts here
        if prompt == "login" or not all_sessions:
            self.ask_name(flow, hint)
        elif prompt == "select_account" or flow.purpose != "authorize":
            self._pick(flow, all_sessions)
        elif len(matching) == 1:
            flow.use_session(matching[0])
            self.show_next_page(flow)
        elif hint:
            self.ask_name(flow, hint)
        else:
            self._pick(flow, all_sessions)

    def _pick(self, flow: Flow, sessions: list[Session]) -> None:
        self.show("picker.html", flow=flow, sessions=sessions)

    def ask_name(self, flow: Flow, hint: str = "", problem: str = "") -> None:
        self.show("username.html", flow=flow, hint=hint, problem=problem)

    def ask_code(self, flow: Flow, user: User, problem: str = "") -> None:
        if not user.mfa_registered:
            refusal = RefusalError(50079, resource=HIDDEN)
            self.log_refusal(refusal, flow)
        page = "code.html" if user.mfa_registered else "enrol.html"
        self.show(page, flow=flow, problem=problem, code=self.site.code)

    # -- the next page ------------------------------------------------------------------------------

    def requested_permissions(self, flow: Flow) -> consent.RequestedPermissions:
        """The permissions that the flow asks for.

        Raises:
            RefusalError: the scope is wrong.
        """
        if flow.purpose == "adminconsent":
            return consent.for_admin(flow.client, flow.scope)
        if flow.purpose == "adminconsent-v1":
            return consent.registered(flow.client)
        return consent.requested_permissions(flow.client, flow.scope)

    def show_next_page(self, flow: Flow) -> None:
        """Show the next page for a user who has signed in: confirmation, consent, or the redirect to the app."""
        tenant, user = flow.tenant, flow.user
        assert tenant is not None and user is not None  # noqa: S101, PT018 - every way here has named both
        sign_in = SignIn(
            flow.platform,
            flow.amr,
            bool(flow.device),
            flow.signed_in,
            self.site.state.clock.time() if flow.from_session else flow.signed_in,
            interactive=True,
        )
        try:
            first = scopes.read(flow.scope, tenant, flow.client.app).first
            flow.evaluation = check_access(flow.client, tenant, user, first, sign_in)
            requested = self.requested_permissions(flow)
        except RefusalError as refusal:
            self.redirect_with_error(flow, refusal)
            return
        if flow.evaluation.too_old:
            self._sign_in_again(flow)
            return
        if flow.evaluation.second_factor:
            self._step_up(flow, user, flow.evaluation.second_factor)
            return
        if flow.device and not flow.confirmed:
            self.show("confirm.html", flow=flow)
            return
        if flow.purpose.startswith("adminconsent"):
            if user.admin:
                self.show(
                    "consent.html",
                    flow=flow,
                    requested_permissions=requested.sentences,
                    for_all=True,
                )
            else:
                self.show(
                    "approval.html", 403, flow=flow, refused=None, answer=None, workflow=False
                )
            return
        needs_consent = consent.missing(flow.client, user, requested)
        if flow.parameters.get("prompt") == "none":
            if needs_consent:
                app = flow.client.app
                declined = RefusalError(
                    65001, error="consent_required", app=app.app_id, name=app.display_name
                )
                self.redirect_with_error(flow, declined)
            else:
                self.finish_flow(flow)
        elif not needs_consent and flow.parameters.get("prompt") != "consent":
            self.finish_flow(flow)
        elif self.admin_must_consent(flow, tenant, user, requested):
            self.show_approval(flow, tenant)
        else:
            self.show(
                "consent.html", flow=flow, requested_permissions=requested.sentences, for_all=False
            )

    def admin_must_consent(
        self, flow: Flow, tenant: Tenant, user: User, requested: consent.RequestedPermissions
    ) -> bool:
        """Whether only an administrator may grant what the flow requests."""
        again = flow.parameters.get("prompt") == "consent"
        return consent.admin_must(flow.client, tenant, user, requested, again=again)

    def _step_up(self, flow: Flow, user: User, number: int) -> None:
        """Ask for the second factor: the password alone was given, now or for the browser's session."""
        if flow.parameters.get("prompt") == "none":
            refusal = RefusalError(number, error="interaction_required", resource=EXCHANGE_APP_ID)
            self.redirect_with_error(flow, refusal)
            return
        flow.password_given, flow.amr = True, []
        self.ask_code(flow, user)

    def _sign_in_again(self, flow: Flow) -> None:
        """Ask for the password: the browser's session is older than the sign-in frequency of a policy allows."""
        if flow.parameters.get("prompt") == "none":
            self.redirect_with_error(flow, RefusalError(50058))
            return
        flow.password_given, flow.amr = False, []
        self.show("password.html", flow=flow, problem="")

    def show_approval(self, flow: Flow, tenant: Tenant) -> None:
        """*Need admin approval*, with the form of the request workflow when that is on."""
        workflow = tenant.policies.consent_requests
        refusal = (
            RefusalError(90095)
            if workflow
            else RefusalError(90094, tenant=tenant.name, name=flow.app_name)
        )
        answer = self.log_refusal(refusal, flow)
        self.show(
            "approval.html", 403, flow=flow, refused=refusal, answer=answer, workflow=workflow
        )

    def finish_flow(self, flow: Flow) -> None:
        """Redirect to the app with a code, or end a sign-in by device code."""
        if not flow.device:
            self.redirect_with_code(flow)
            return
        self.site.flows.pop(flow.id, None)
        self.log_success(flow)
        device = self.site.authority.devices.get(flow.device)
        if device is not None:
            device.tenant, device.user, device.amr = flow.tenant, flow.user, flow.amr
        self.show("done.html", flow=flow)
