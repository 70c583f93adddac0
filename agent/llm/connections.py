"""An endpoint's connections: to its own address only, straight or through its proxy, trusting whom it says.

Used by `agent.llm.wire`. Nothing is inherited from the environment: `models.yaml` names the proxy and the authorities.
Keys are taken out of the answer before any library sees it.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from agent.llm import dialects
from agent.llm.access import Access
from agent.llm.authorities import trust
from agent.llm.keys import Redaction
from registry.model_config import Endpoint
from sandbox.outputs import plain_text

LARGEST_BODY = 16 << 20
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
SHOWN = 300
_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent"}
)
_BEFORE_SENDING = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})
_UNKNOWN_SIGNERS = frozenset({2, 18, 19, 20, 21, 24, 27})
"""OpenSSL's numbers (X509_V_ERR_…) for chains that end nowhere, in themselves, or at somebody who may not sign."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no answer came; the code is one of `agent.llm.wire.NoCompletion`."""

    code: str
    said: str
    again: bool = True
    """Whether the same request may succeed a moment later."""


class Guarded(openai.DefaultHttpxClient):
    """Sends to the endpoint's own address only, with the few headers that are needed, and reads bounded answers."""

    def __init__(self, endpoint: Endpoint, access: Access, redaction: Redaction) -> None:
        trusted = httpx2.create_ssl_context(trust_env=False)
        if access.authorities is not None:
            trust(trusted, access.authorities.pem)
        proxy = None
        if endpoint.proxy is not None:
            # One to an http proxy has no certificates; one to an https proxy left to itself reads the environment.
            context = trusted if endpoint.proxy.startswith("https:") else None
            proxy = httpx2.Proxy(endpoint.proxy, auth=access.login, ssl_context=context)
        super().__init__(verify=trusted, proxy=proxy, trust_env=False, follow_redirects=False)
        self._endpoint, self._key, self._redaction = endpoint, access.key, redaction
        self._tunnels = proxy is not None and endpoint.base_url.startswith("https:")
        self.begin()

    def begin(self) -> None:
        """Forget the last request."""
        self.sent = False
        self.status: int | None = None
        self.retry_after_s: float | None = None
        self.body = b""
        self.trouble: Trouble | None = None
        """Where the trouble is not the answer's own."""
        self._step = ""
        """The last step on the way to the endpoint, as the library names it."""

    def send(self, request: Any, **options: Any) -> Any:
        wanted = urlsplit(self._endpoint.base_url)
        to = (request.url.scheme, request.url.host, request.url.port)
        usual = {"http": 80, "https": 443}.get(wanted.scheme)
        if to != (wanted.scheme, wanted.hostname, None if wanted.port == usual else wanted.port):
            said = f"a request to another host than {wanted.hostname} was held back"
            self.trouble = Trouble("not_allowed", said, again=False)
            raise openai.OpenAIError(said)
        whole = dict(request.headers)
        for name in [name for name in request.headers if name.lower() not in _HEADERS]:
            del request.headers[name]
        if self._key is None:
            request.headers.pop("authorization", None)
        request.headers["connection"] = "close"  # a connection that waits for the next question is broken by then
        request.extensions = {**request.extensions, "trace": self._stepped}
        deadline = time.monotonic() + self._endpoint.timeout
        try:
            response = super().send(request, **{**options, "stream": True, "follow_redirects": False})
            self.sent = True
            try:
                self.status, self.retry_after_s = response.status_code, _patience(response.headers)
                self.body = self._redaction.body(self._read(response, deadline))
            finally:
                response.close()
        except Exception as error:
            self._explain(error)
            raise
        request.headers.update(whole)  # the library reads marks of its own there
        kind = {"content-type": response.headers.get("content-type", "")}
        content = dialects.completed(self.body)
        return type(response)(response.status_code, headers=kind, content=content, request=request)

    def _read(self, response: Any, deadline: float) -> bytes:
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > LARGEST_BODY:
                self.trouble = Trouble("not_a_completion", f"an answer of more than {LARGEST_BODY} bytes")
                raise openai.OpenAIError(self.trouble.said)
            if time.monotonic() > deadline:
                self.trouble = Trouble("timeout", self._late())
                raise openai.OpenAIError(self.trouble.said)
        return bytes(content)

    def _stepped(self, name: str, _: object) -> None:
        """Called by the library: `connection.start_tls.started` and the like."""
        if name.endswith(("start_tls.started", "start_tls.complete")):
            self._step = name

    def _explain(self, error: Exception) -> None:
        if self.trouble is not None:
            return
        name = type(error).__name__
        said = " ".join(plain_text(self._redaction.text(str(error)), SHOWN).split()) or name
        if (distrusted := _distrusted(error)) is not None:
            self.trouble = self._distrust(distrusted)
        elif self._tunnels and self._step != "proxy.start_tls.complete":
            refused = int(said[:3]) if name == "ProxyError" and said[:3].isdecimal() else None
            again = refused is None or refused in AGAIN
            self.trouble = Trouble("proxy", f"the proxy {self._endpoint.proxy} made no connection ({said})", again)
        elif "Timeout" in name and name != "ConnectTimeout":
            self.sent = True
            self.trouble = Trouble("timeout", self._late())
        else:
            self.sent = self.sent or name not in _BEFORE_SENDING
            how = "broke off" if self.sent else "could not be made"
            where = f" to the proxy {self._endpoint.proxy}" if self._endpoint.proxy is not None else ""
            self.trouble = Trouble("connection", f"the connection{where} {how} ({said})")

    def _distrust(self, error: ssl.SSLCertVerificationError) -> Trouble:
        """Whose certificate it was, and whether `ca_file` would help."""
        of_proxy = self._endpoint.proxy is not None and self._step == "connection.start_tls.started"
        whose = f"the proxy {self._endpoint.proxy}" if of_proxy else self._endpoint.base_url
        why = plain_text(str(error.verify_message), SHOWN)
        if error.verify_code in _UNKNOWN_SIGNERS:
            remedy = "ca_file in models.yaml names authorities to trust"
            return Trouble("untrusted", f"the certificate of {whose} is not trusted ({why}); {remedy}", again=False)
        return Trouble("certificate", f"the certificate of {whose} is not valid ({why})", again=False)

    def _late(self) -> str:
        return f"no whole answer within {self._endpoint.timeout:g} s"


def _distrusted(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What the TLS library said of a certificate, where that is behind an error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _patience(headers: Any) -> float | None:
    """Seconds that the server asks to wait."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        parsed = email.utils.parsedate_tz(text)
        if parsed is None:
            return None
        seconds = email.utils.mktime_tz(parsed) - time.time()
    return max(0.0, seconds) if seconds == seconds and seconds < 1e9 else None
