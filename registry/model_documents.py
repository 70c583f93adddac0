"""What `models.yaml` must fulfil beyond its records' own rules: no key in the file, endpoints and prices that exist.

Called by `registry.documents.load_models`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from registry.errors import BadInput, Problem
from registry.model_config import ROLE_NAMES, VARIABLE, ModelConfig
from registry.yaml_nodes import Located, shown_text

_FIX = "write key: {env: NAME} or key: {file: PATH}; change the key at the provider if others have seen this file"
_LOGIN_FIX = (
    "write proxy_login: {env: NAME} or proxy_login: {file: PATH}; change the password if others have seen this file"
)


def without_keys(located: Located) -> tuple[dict[str, Any], list[Problem]]:
    """The document's data without anything that may be a key, and a problem for each, which does not show it."""
    problems: list[Problem] = []
    data = dict(located.data)
    endpoints = data.get("endpoints")
    if not isinstance(endpoints, dict):
        return data, problems
    data["endpoints"] = {name: _without_key(located, name, value, problems) for name, value in endpoints.items()}
    return data, problems


def _without_key(located: Located, endpoint_name: str, endpoint: Any, problems: list[Problem]) -> Any:
    if not isinstance(endpoint, dict):
        return endpoint
    endpoint = dict(endpoint)
    at = ("endpoints", endpoint_name)
    for name, fix in (("key", _FIX), ("proxy_login", _LOGIN_FIX)):
        source = endpoint.get(name)
        if source is not None and not _is_source(source):
            expected = f"where the {'key' if name == 'key' else 'login'} is, {{env: NAME}} or {{file: PATH}}"
            problems.append(located.problem((*at, name), "something else, not shown here", expected, fix))
            del endpoint[name]
    for name, expected, fix in (
        ("base_url", "https://host/v1 and nothing else", _FIX),
        ("proxy", "http://host:port and nothing else", _LOGIN_FIX),
    ):
        address = endpoint.get(name)
        if isinstance(address, str) and _may_hold_a_key(address):
            found = "an address with a password, ? or #, not shown here"
            problems.append(located.problem((*at, name), found, expected, fix))
            endpoint[name] = "https://localhost"  # the complaint about it stands already
    for other in sorted(endpoint.keys() & {"api_key", "apikey", "token", "password", "secret"}):
        problems.append(located.problem((*at, other), f'the key "{other}"', "key: {env: NAME}", _FIX))
        del endpoint[other]
    return endpoint


def _is_source(key: Any) -> bool:
    """Whether it has the form of a place; what is wrong with a place may be shown, and a key may not."""
    if not isinstance(key, dict) or not key.keys() <= {"env", "file"}:
        return False
    variable, file = key.get("env"), key.get("file")
    if variable is not None and not (isinstance(variable, str) and re.fullmatch(VARIABLE, variable)):
        return False
    return file is None or (isinstance(file, str) and len(file) <= 1000)


def _may_hold_a_key(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return True
    # Anywhere: a password may have a / in it, and its address no scheme.
    return bool("@" in address or parts.query or parts.fragment)


def checked_models(located: Located, config: ModelConfig) -> ModelConfig:
    """The same, once every endpoint and price that a role needs is there; BadInput names those that are not."""
    problems: list[Problem] = []
    for role in ("default", *ROLE_NAMES):
        different = getattr(config.models, role)
        if different.endpoint is not None and different.endpoint not in config.endpoints:
            known = ", ".join(map(shown_text, config.endpoints))
            found = f'the endpoint "{shown_text(different.endpoint)}"'
            problems.append(located.problem(("models", role, "endpoint"), found, f"one of {known}"))
        if different.model is not None and different.model not in config.prices.models:
            name = shown_text(different.model)
            fix = f'add prices.models."{name}": {{input: …, output: …}}, per million tokens; 0 for a server of your own'
            expected = f'a price for the model "{name}"'
            problems.append(located.problem(("prices", "models", different.model), "none", expected, fix))
    unique = list(dict.fromkeys(problems))
    if unique:
        raise BadInput(*unique)
    return config
