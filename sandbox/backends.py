"""Chooses the backend that runs candidates on this host.

Called by the composition root and by doctor. A new backend is a module of its own and one line in `_BACKENDS`.
There is no silent fallback: where nothing isolates, `SandboxUnavailable` says why and what mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sandbox.bubblewrap import Bubblewrap
from sandbox.contract import Isolation, Sandbox, SandboxUnavailable
from sandbox.namespaces import Namespaces

_BACKENDS: tuple[tuple[Isolation, Callable[[Path], Sandbox]], ...] = (("full", Bubblewrap), ("weak", Namespaces))

WEAK_HINT = "until then, to try things out without promotions: agent run --allow-weak-sandbox"
"""The last of the reasons; what stands before the colon is no failure."""


def choose(state: Path, *, image: str | None = None, allow_weak: bool = False) -> Sandbox:
    """The first backend that works here, strongest first; a weak one only where it is allowed.

    `state` is a folder for the backend's own records. Where runs need an image, only containers will do.
    """
    if image is not None:
        return _containers(state, image)
    reasons: list[str] = []
    for isolation, make in _BACKENDS:
        if isolation == "weak" and not allow_weak:
            reasons.append(WEAK_HINT)
            continue
        sandbox = make(state)
        capabilities = sandbox.doctor()
        if capabilities.usable:
            return sandbox
        reasons += [f"{sandbox.name}: {reason}" for reason in capabilities.reasons]
    raise SandboxUnavailable("no sandbox can be had here, so nothing is run\n" + "\n".join(reasons))


def reap(state: Path) -> tuple[str, ...]:
    """Remove what dead orchestrators left under any backend; one line for each thing removed.

    Whichever backend runs now: a target that had an image yesterday may name an interpreter today.
    """
    from sandbox.docker_engine import Docker

    return (*Bubblewrap(state).reap(), *(Docker(state).reap() if Docker.was_used(state) else ()))


def _containers(state: Path, image: str) -> Sandbox:
    from sandbox.docker_engine import Docker

    sandbox = Docker(state, image)
    capabilities = sandbox.doctor()
    if not capabilities.usable:
        reasons = "\n".join(f"{sandbox.name}: {reason}" for reason in capabilities.reasons)
        raise SandboxUnavailable(f"environment.image needs containers, which cannot be had here\n{reasons}")
    return sandbox
