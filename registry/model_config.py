"""`models.yaml`: which language model answers for which role, where, what it costs, and what may be spent.

Loaded by `registry.documents`; `agent.llm` asks what it names. Without the file the researcher is the offline one. A
key is never in it: only where the key is to be found.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from registry.competitive import Name, Section, Url, web_address
from registry.target import Seconds

RoleName = Literal["screen", "extract", "propose", "patch", "answer"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)
VARIABLE = r"^[A-Z_][A-Z0-9_]{0,199}$"
"""Capitals only, so that a key put in the place of a name is not taken for one and shown."""

_ADDED = ("/completions", "/responses")
"""Ends of a request's own address, which the library adds."""


def _base_url(value: str) -> str:
    parts = urlsplit(web_address(value))
    if parts.query or parts.fragment:
        raise ValueError("an address without ? and #")
    if parts.path.rstrip("/").endswith(_ADDED):
        raise ValueError("the address up to and with /v1; what comes after it is added to each request")
    return value.rstrip("/")


def _proxy_url(value: str) -> str:
    parts = urlsplit(web_address(value))
    try:
        usable = bool(parts.hostname) and parts.port != 0  # a port that is no number complains when it is read
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("http://host:port or https://host:port and nothing else is expected")
    return value.rstrip("/")


class KeySource(Section):
    """Where a secret of an endpoint is, its key or its proxy's login: exactly one of the two."""

    env: str | None = Field(default=None, pattern=VARIABLE)
    """Name of an environment variable."""
    file: str | None = Field(default=None, min_length=1, max_length=1000)
    """A file that holds the secret and nothing else; relative to the workspace."""

    @model_validator(mode="after")
    def _one_of_two(self) -> KeySource:
        if (self.env is None) == (self.file is None):
            raise ValueError("exactly one of env and file is expected")
        return self


class Endpoint(Section):
    """A server that speaks the OpenAI protocol."""

    base_url: Annotated[Url, AfterValidator(_base_url)]
    key: KeySource | None = None
    timeout: Seconds = 120.0
    """Longest wait for one whole answer."""
    retries: int = Field(default=3, ge=0, le=10)
    """How often a request is sent again after 429, 5xx, a timeout or a broken connection."""
    responses_api: bool = False
    allow_http: bool = False
    proxy: Annotated[Url, AfterValidator(_proxy_url)] | None = None
    """Goes between this machine and the endpoint. None, whatever the environment says: no proxy."""
    proxy_login: KeySource | None = None
    """Where `user:password` for the proxy is."""
    ca_file: str | None = Field(default=None, min_length=1, max_length=1000)
    """A PEM file of authorities to trust beside the machine's own; relative to the workspace."""

    @model_validator(mode="after")
    def _a_key_is_not_sent_in_the_open(self) -> Endpoint:
        if self.base_url.startswith("http:") and not self.allow_http and not is_nearby(self.base_url):
            raise ValueError(
                "base_url is http to a host that is neither this machine nor in a private network; use https, or say"
                " allow_http: true"
            )
        if self.base_url.startswith("http:") and not self.allow_http and self.proxy is not None:
            raise ValueError("base_url is http, which a proxy reads, key and all; use https, or say allow_http: true")
        return self

    @model_validator(mode="after")
    def _a_login_has_a_proxy(self) -> Endpoint:
        if self.proxy_login is not None and self.proxy is None:
            raise ValueError("proxy_login without proxy; name the proxy, or leave its login out")
        return self


def is_nearby(address: str) -> bool:
    """Whether a web address is this machine's or of a private network; a name other than localhost tells nothing."""
    try:
        host = urlsplit(address).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number.is_private


Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
OutputTokens = Annotated[int, Field(ge=16, le=1_000_000)]


class ModelChoice(Section):
    """The model that answers where a role says nothing else."""

    endpoint: Name
    model: Name
    temperature: Temperature | None = None
    """None: the server's own."""
    max_output_tokens: OutputTokens = 4096


class RoleChoice(Section):
    """What is different for one role; what is left out is as in `default`."""

    endpoint: Name | None = None
    model: Name | None = None
    temperature: Temperature | None = None
    max_output_tokens: OutputTokens | None = None


class Models(Section):
    """A model for each role."""

    default: ModelChoice
    screen: RoleChoice = RoleChoice()
    extract: RoleChoice = RoleChoice()
    propose: RoleChoice = RoleChoice()
    patch: RoleChoice = RoleChoice()
    answer: RoleChoice = RoleChoice()


Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Price(Section):
    """For a million tokens, in `prices.currency`; 0 for a server of one's own."""

    input: Amount
    output: Amount


class Prices(Section):
    """What tokens cost. Each model that a role names has to stand here."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    models: dict[Name, Price] = Field(default_factory=dict)


class Allowance(Section):
    """The most that may be spent; what is left out is no limit."""

    tokens: int | None = Field(default=None, ge=1)
    """Input and output together."""
    money: Amount | None = None
    """In `prices.currency`."""
    calls: int | None = Field(default=None, ge=1)
    """Requests that go out, repeated ones included."""


class ModelBudget(Section):
    """What language models may cost."""

    night: Allowance = Allowance()
    """One night; outside of nights (`agent ask`), one day in UTC."""
    hypothesis: Allowance = Allowance()
    """One hypothesis over all nights."""


class ModelConfig(Section):
    """The whole of `models.yaml`."""

    version: Literal[1]
    researcher: Literal["llm", "offline"] = "llm"
    """`offline` keeps the file and asks no model."""
    endpoints: dict[Name, Endpoint] = Field(min_length=1, max_length=20)
    models: Models
    prices: Prices
    budget: ModelBudget = ModelBudget()

    def choice(self, role: RoleName) -> ModelChoice:
        """The model of a role, every field settled."""
        different: RoleChoice = getattr(self.models, role)
        return self.models.default.model_copy(update=different.model_dump(exclude_none=True))
