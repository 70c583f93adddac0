"""Whether `models.yaml` can be used: its rules, keys where they should be, endpoints that answer, and in which form.

Called by `agent.doctor.checkup`. Each model that a role names is asked one short question, which costs what it costs
and stands in no log and no budget: doctor writes nothing into a workspace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from pydantic import Field

from agent.doctor.findings import Finding, complaints, fail, ok, warn
from agent.llm.aside import aside
from agent.llm.authorities import find_authorities
from agent.llm.contract import ROLES, EndpointDown, NoReply, Question, Role, Schema
from agent.llm.keys import find_key, find_login, key_file
from agent.llm.wiring import language_model
from registry.documents import load_models
from registry.errors import BadInput
from registry.model_config import Endpoint, KeySource, ModelBudget, ModelConfig, Models
from registry.target import Target
from registry.workspace import Workspace

CHECK = "models.yaml"
_PATIENCE_S = 60.0
_REMEDIES = {
    "untrusted": (
        "name a PEM file with the authority that signed the certificate as {at}.ca_file; whoever runs the server, or"
        " the proxy that looks into its connections, has it"
    ),
    "certificate": "look at base_url and proxy of {at} and at this machine's clock",
    "proxy": "look at {at}.proxy and {at}.proxy_login",
}
"""By the code of `agent.llm.wire.NoCompletion`; `{at}` is the endpoint in models.yaml."""


class Probe(Schema):
    """What the prompt `probe` asks for."""

    word: str = Field(max_length=40)
    sum: int = Field(ge=-1000, le=1000)


def check(workspace: Workspace, target: Target | None, cancel: threading.Event) -> Iterator[Finding]:
    """All about the language models of a workspace."""
    if not workspace.models.exists():
        yield ok(CHECK, "none: the offline researcher, which asks no model")
        return
    try:
        config = load_models(workspace.models)
    except BadInput as error:
        yield from complaints(CHECK, error)
        return
    wanted = _wanted(config)
    models = ", ".join(dict.fromkeys(f"{model} at {endpoint}" for endpoint, model in wanted))
    if config.researcher == "offline":
        yield ok(CHECK, f"{models}; none is asked, because it says researcher: offline")
        return
    yield ok(CHECK, models)
    yield from _budget(config, wanted)
    for endpoint in dict.fromkeys(endpoint for endpoint, _ in wanted):
        findings = list(_access(workspace, target, endpoint, config.endpoints[endpoint]))
        yield from findings
        if not any(one.status == "fail" for one in findings):
            for (at, model), roles in wanted.items():
                if at == endpoint:
                    yield _asked(workspace, config, at, model, roles, cancel)


def _wanted(config: ModelConfig) -> dict[tuple[str, str], list[Role]]:
    """Endpoint and model → the roles it has."""
    wanted: dict[tuple[str, str], list[Role]] = {}
    for role in ROLES:
        choice = config.choice(role)
        wanted.setdefault((choice.endpoint, choice.model), []).append(role)
    return wanted


def _budget(config: ModelConfig, wanted: dict[tuple[str, str], list[Role]]) -> Iterator[Finding]:
    prices = [config.prices.models[model] for _, model in wanted]
    night = config.budget.night
    if any(price.input or price.output for price in prices) and night.money is None and night.tokens is None:
        found = "models that cost money, and no limit on what a night spends"
        yield warn(CHECK, found, "set budget.night.money in models.yaml")


def _access(workspace: Workspace, target: Target | None, name: str, endpoint: Endpoint) -> Iterator[Finding]:
    """Key, proxy and authorities of an endpoint, each where it has one."""
    if endpoint.key is not None:
        yield from _secret(workspace, target, name, "key", endpoint.key, find_key)
    if endpoint.proxy is not None:
        bare = endpoint.proxy_login is not None and endpoint.proxy.startswith("http:")
        yield ok(f"proxy of {name}", endpoint.proxy + (", to which its login goes unencrypted" if bare else ""))
    if endpoint.proxy_login is not None:
        yield from _secret(workspace, target, name, "proxy_login", endpoint.proxy_login, find_login)
    if endpoint.ca_file is not None:
        yield _authorities(workspace, name, endpoint.ca_file)


def _secret(
    workspace: Workspace,
    target: Target | None,
    name: str,
    what: str,
    source: KeySource,
    find: Callable[[Workspace, str, KeySource], object],
) -> Iterator[Finding]:
    check = f"{what} of {name}"
    try:
        find(workspace, name, source)
    except BadInput as error:
        yield from complaints(check, error)
        return
    if source.file is None:
        yield ok(check, f"in the environment variable {source.env}")
        return
    path = key_file(workspace, source).resolve()
    if target is not None and path.is_relative_to(repository := workspace.repository(target.solution.repository)):
        fix = f"move it out of the repository, and change the {what} if it was ever committed"
        yield fail(check, f"{path} is inside the repository {repository}, which candidates see", fix)
    elif path.stat().st_mode & 0o077:
        yield warn(check, f"{path} can be read by other users", f"chmod 600 {path}")
    else:
        yield ok(check, f"in {path}")


def _authorities(workspace: Workspace, name: str, file: str) -> Finding:
    check = f"ca_file of {name}"
    try:
        found = find_authorities(workspace, name, file)
    except BadInput as error:
        (finding,) = complaints(check, error)
        return finding
    names = f" ({', '.join(found.names[:3])}{', …' if len(found.names) > 3 else ''})" if found.names else ""
    return ok(check, f"{found.path}: {found.count} certificate(s){names}, trusted beside this machine's own")


def _mends(said: str) -> str:
    """What to look at where a server gives no answer."""
    if "HTTP 401" in said or "HTTP 403" in said:
        return "look at the key, and at what it is allowed to use at the provider"
    if "HTTP 402" in said or "quota" in said:
        return "look at what is left to pay the provider with"
    if "HTTP 429" in said or "HTTP 5" in said:
        return "it is there and busy or broken: ask it again later, or look at its own log"
    return "look at base_url (up to and with /v1), the key and the model's name"


def _changes(said: str) -> str:
    """What to change where an answer cannot be used."""
    if "refuses the request" in said:
        return "take out of models.yaml what it names, such as temperature, or put a smaller max_output_tokens"
    return "another model, or a larger max_output_tokens"


def _asked(
    workspace: Workspace, config: ModelConfig, endpoint: str, model: str, roles: list[Role], cancel: threading.Event
) -> Finding:
    """Ask one question through the same client as a night's."""
    name = f"model {model}"
    quick = config.endpoints[endpoint]
    quick = quick.model_copy(update={"retries": 0, "timeout": min(quick.timeout, _PATIENCE_S)})
    alone = config.model_copy(update={"endpoints": {**config.endpoints, endpoint: quick}, "budget": ModelBudget()})
    alone = alone.model_copy(update={"models": Models(default=config.choice(roles[0]))})  # needs no other's key
    with aside(workspace, cancel) as parts:
        question = Question(roles[0], "probe", {"word": "heron"}, Probe, "ask")
        try:
            language_model(parts, alone).ask(question)
        except EndpointDown as error:
            remedy = _REMEDIES.get(error.code, "").format(at=f"endpoints.{endpoint}") or _mends(str(error))
            return fail(name, str(error), f"{remedy}; without it nights go on with the offline researcher")
        except NoReply as error:
            return warn(name, str(error), _changes(str(error)))
        (spent,) = parts.history.models.nights.values()
        (manner,) = parts.history.models.manners.values()
    cost = f"{spent.money:.6f} {config.prices.currency}"
    said = f"{endpoint} answers in the form {manner.rung}; asked for {', '.join(roles)}"
    used = f"{spent.calls} call(s), {spent.tokens} tokens, {cost}, in no budget"
    if spent.estimated:
        fix = "it does not tell its usage, so calls are charged at the most they may cost"
        return warn(name, f"{said} ({used})", fix)
    return ok(name, f"{said} ({used})")
