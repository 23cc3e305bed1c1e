"""How a workload takes mutual TLS."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from lateen.model.frame import Owner

__all__ = ["Authn", "MtlsMode"]


class MtlsMode(StrEnum):
    """PERMISSIVE takes plaintext as well, STRICT does not, DISABLE takes nothing else."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class Authn(Struct, frozen=True, kw_only=True):
    """The mode of a workload, and of those of its ports that differ; `owners` are the policies that decided."""

    mode: MtlsMode = MtlsMode.PERMISSIVE
    ports: Mapping[int, MtlsMode] = {}
    owners: tuple[Owner, ...] = ()

    def of(self, port: int) -> MtlsMode:
        return self.ports.get(port, self.mode)
