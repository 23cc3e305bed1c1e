"""Filters of users in a chain of HTTP: scripts and modules, as plans. Must not name an Envoy type."""

from typing import Literal

from msgspec import Struct

from lateen.model.frame import Owner

__all__ = ["ExtensionPlan", "LuaPlan", "Phase", "UnavailablePlan", "WasmPlan"]

Phase = Literal["AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE"]


class LuaPlan(Struct, frozen=True):
    """A script."""

    code: str


class WasmPlan(Struct, frozen=True, kw_only=True):
    """A module in a file of the proxy, or here as `code`. `settings` is JSON; `fails` what becomes of requests when it breaks."""

    file: str = ""
    code: bytes = b""
    root: str = ""
    settings: str | None = None
    fails: Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] = "FAIL_CLOSE"
    variables: tuple[tuple[str, str], ...] = ()
    inherited: tuple[str, ...] = ()  # names of variables of the proxy's own environment


class UnavailablePlan(Struct, frozen=True):
    """A module that cannot be had: its requests are refused, or let through where it is `open`."""

    open: bool


class ExtensionPlan(Struct, frozen=True, kw_only=True):
    """A filter under the name of its resource."""

    name: str
    phase: Phase
    code: LuaPlan | WasmPlan | UnavailablePlan
    owner: Owner
