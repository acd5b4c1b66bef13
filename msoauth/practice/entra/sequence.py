"""Which page of a sign-in comes next: who signs in, confirmation, consent, and back to the app."""

from msoauth.practice.entra import consent
from msoauth.practice.entra.clients import is_consumers
from msoauth.practice.entra.pages import Flow, Page, Session
from msoauth.practice.entra.policy import HIDDEN, admit
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import EXCHANGE_APP_ID, Tenant, User


class StepsPage(Page):
    """What every page of a sign-in can do: choose who signs in, go on, ask for consent."""

    # -- who -----------------------------------------------------------------------------------

    def fitting(self, flow: Flow) -> list[Session]:
        """The sessions of this browser that belong to the tenant of the request, and to its login_hint."""
        hint = flow.asked.get("login_hint", "").strip().lower()
        tenant = flow.client.tenant
        return [
            s for s in self.sessions()
            if (tenant is None or s.tenant is tenant) and (not hint or s.user.upn.lower() == hint)
        ]  # fmt: skip

    def choose(self, flow: Flow) -> None:
        """Who signs in: the session of this browser, one picked from several, or somebody new."""
        prompt = flow.asked.get("prompt", "")
        hint = flow.asked.get("login_hint", "").strip()
        everyone, fitting = self.sessions(), self.fitting(flow)
        if is_consumers(flow.client.path):
            everyone = fitting = []  # there are no personal accounts here
        if prompt == "login" or not everyone:
            self.ask_name(flow, hint)
        elif prompt == "select_account" or flow.purpose != "authorize":
            self._pick(flow, everyone)
        elif len(fitting) == 1:
            flow.take(fitting[0])
            self.go_on(flow)
        elif hint:
            self.ask_name(flow, hint)
        else:
            self._pick(flow, everyone)

    def _pick(self, flow: Flow, sessions: list[Session]) -> None:
        self.show("picker.html", flow=flow, sessions=sessions)

    def ask_name(self, flow: Flow, hint: str = "", problem: str = "") -> None:
        self.show("username.html", flow=flow, hint=hint, problem=problem)

    def ask_code(self, flow: Flow, user: User, problem: str = "") -> None:
        if user.mfa == "enrol":
            refused = RefusalError(50079, resource=HIDDEN)
            self.noted(refused, flow)
        page = "enrol.html" if user.mfa == "enrol" else "code.html"
        self.show(page, flow=flow, problem=problem, code=self.people.code)

    # -- going on ------------------------------------------------------------------------------

    def wanted(self, flow: Flow) -> consent.Wanted:
        """The permissions that the flow asks for.

        Raises:
            RefusalError: the scope is wrong.
        """
        if flow.purpose == "adminconsent":
            return consent.for_admin(flow.client, flow.scope)
        if flow.purpose == "adminconsent-v1":
            return consent.registered(flow.client)
        return consent.wanted(flow.client, flow.scope)

    def go_on(self, flow: Flow) -> None:
        """The next page once it is known who signs in: confirmation, consent, or back to the app."""
        tenant, user = flow.tenant, flow.user
        assert tenant is not None and user is not None  # noqa: S101, PT018 - every way here has named both
        try:
            admit(flow.client, tenant, user, device_flow=bool(flow.device))
            asked = self.wanted(flow)
        except RefusalError as refused:
            self.give_back_error(flow, refused)
            return
        if user.mfa is not None and "mfa" not in flow.amr:
            self._step_up(flow, user)
            return
        if flow.device and not flow.elsewhere:
            self.show("confirm.html", flow=flow)
            return
        if flow.purpose.startswith("adminconsent"):
            if user.admin:
                self.show("consent.html", flow=flow, wanted=asked.sentences, for_all=True)
            else:
                self.show(
                    "approval.html", 403, flow=flow, refused=None, answer=None, workflow=False
                )
            return
        lacks = consent.missing(flow.client, user, asked)
        if flow.asked.get("prompt") == "none":
            if lacks:
                app = flow.client.app
                declined = RefusalError(
                    65001, error="consent_required", app=app.app_id, name=app.display_name
                )
                self.give_back_error(flow, declined)
            else:
                self.finish_flow(flow)
        elif not lacks and flow.asked.get("prompt") != "consent":
            self.finish_flow(flow)
        elif consent.admin_must(tenant, user, asked):
            self.show_approval(flow, tenant)
        else:
            self.show("consent.html", flow=flow, wanted=asked.sentences, for_all=False)

    def _step_up(self, flow: Flow, user: User) -> None:
        """The session of the browser proves the password only, and by now more is required."""
        if flow.asked.get("prompt") == "none":
            number = 50079 if user.mfa == "enrol" else 50076
            refused = RefusalError(number, error="interaction_required", resource=EXCHANGE_APP_ID)
            self.give_back_error(flow, refused)
            return
        flow.password_given, flow.amr = True, []
        self.ask_code(flow, user)

    def show_approval(self, flow: Flow, tenant: Tenant) -> None:
        """*Need admin approval*, with the form of the request workflow when that is on."""
        workflow = tenant.policies.consent_requests
        refused = (
            RefusalError(90095) if workflow
            else RefusalError(90094, tenant=tenant.name, name=flow.app_name)
        )  # fmt: skip
        answer = self.noted(refused, flow)
        self.show(
            "approval.html", 403, flow=flow, refused=refused, answer=answer, workflow=workflow
        )

    def finish_flow(self, flow: Flow) -> None:
        """Back to the app with a code; or the end of a device sign-in."""
        if not flow.device:
            self.give_back_code(flow)
            return
        self.people.flows.pop(flow.id, None)
        self.note_success(flow)
        device = self.people.authority.devices.get(flow.device)
        if device is not None:
            device.tenant, device.user, device.amr = flow.tenant, flow.user, flow.amr
        self.show("done.html", flow=flow)
