"""Who may do what with a workload: tokens and authorization, of all its chains."""

from msgspec import Struct

from lateen.model.authz import AuthzPlan
from lateen.model.frame import Owner
from lateen.model.requestauthn import JwtPlan

__all__ = ["WorkloadSecurity"]


class WorkloadSecurity(Struct, frozen=True, kw_only=True):
    """None where no policy counts; `owners` are the policies that do."""

    authn: JwtPlan | None = None
    authz: AuthzPlan | None = None
    owners: tuple[Owner, ...] = ()
