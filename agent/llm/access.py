"""What it takes to reach an endpoint beside its address: its key, its proxy's login, the authorities it trusts.

Made when the client is, and by doctor; used by `agent.llm.connections`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.llm.authorities import Authorities, find_authorities
from agent.llm.keys import find_key, find_login
from registry.model_config import Endpoint
from registry.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Access:
    """None where an endpoint has or wants no such thing."""

    key: str | None = field(default=None, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password for the proxy."""
    authorities: Authorities | None = None

    def secrets(self) -> Iterator[str]:
        """All that has to be taken out of what is kept or shown."""
        if self.key is not None:
            yield self.key
        if self.login is not None:
            yield ":".join(self.login)  # the header has it in base64
            yield self.login[1]


def find_access(workspace: Workspace, name: str, endpoint: Endpoint) -> Access:
    """All of it, where `models.yaml` says it is. BadInput says what is missing, and shows no secret."""
    return Access(
        find_key(workspace, name, endpoint.key),
        find_login(workspace, name, endpoint.proxy_login),
        None if endpoint.ca_file is None else find_authorities(workspace, name, endpoint.ca_file),
    )
