"""One request to one endpoint, through langchain-openai: what came back, or why nothing usable did. No second try.

Used by `agent.llm.client`, which imports it when the first question is asked, because the libraries take a second to
load. Nothing from the environment changes where a request goes or what is in its header: no proxy, no `OPENAI_*`, no
tracing. Keys are taken out of the answer before any library sees it.
"""

from __future__ import annotations

import email.utils
import json
import logging
import os
import time
import warnings
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langsmith import tracing_context

from agent.llm import dialects
from agent.llm.keys import Redaction
from agent.llm.rungs import Request
from registry.errors import AgentError
from registry.model_config import Endpoint, ModelChoice
from sandbox.outputs import plain_text

LARGEST_BODY = 16 << 20
_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent"}
)
_CONNECTS_WITHIN_S = 10.0
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_SHOWN = 300
_TOO_MANY = 1 << 40
"""Tokens that no request has."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One chat completion, redacted."""

    text: str
    """What the model wrote, or the arguments of the tool it called."""
    refusal: str
    finish_reason: str
    usage: tuple[int, int] | None
    """Input and output tokens; None where the server does not say, or says what cannot be."""
    body: bytes
    """The answer as it came, without keys."""


class NoCompletion(AgentError):
    """The request brought no completion."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        again: bool,
        maybe_charged: bool,
        retry_after_s: float | None = None,
        body: bytes = b"",
    ) -> None:
        self.code = code
        """`refused` (this request), `filtered` (this question), `failed` (HTTP 500), `unavailable`, `rate_limited`,
        `timeout`, `connection`, `not_a_completion`, `not_found` (any of this model), `not_allowed` (any request)."""
        self.again = again
        """Whether the same request may succeed a moment later."""
        self.maybe_charged = maybe_charged
        """Whether the provider may have worked, and asks to be paid, all the same."""
        self.retry_after_s = retry_after_s
        self.body = body
        super().__init__(message)


class Wire:
    """An endpoint's connections."""

    def __init__(self, endpoint: Endpoint, key: str | None, redaction: Redaction) -> None:
        for variable in ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"):  # old tracing, at which the library fails
            os.environ.pop(variable, None)
        for library in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(library).setLevel(logging.WARNING)  # OPENAI_LOG=debug would write requests out
        self._endpoint, self._key, self._redaction = endpoint, key, redaction
        self._http = _Guarded(endpoint, key, redaction)
        self._other = openai.DefaultAsyncHttpxClient(trust_env=False)  # never used; made here so none is made from env

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def send(self, choice: ModelChoice, request: Request, limit: str) -> Completion:
        """One request. Raises NoCompletion."""
        options = {name: value for name, value in request.items() if name != "messages"}
        if choice.temperature is not None:
            options["temperature"] = choice.temperature
        if self._endpoint.responses_api:
            options |= {"max_tokens": choice.max_output_tokens, "store": False}
        else:
            # Handed on as they are: the library would rename the limit and parse the format itself.
            named = {name: options.pop(name) for name in ("response_format",) if name in options}
            options["extra_body"] = {**named, limit: choice.max_output_tokens}
        self._http.begin()
        code = message = ""
        with tracing_context(enabled=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = self._chat(choice.model).invoke(request["messages"], **options)
                return self._completion(answer)
            except openai.OpenAIError as error:
                message = _said(error)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
                code, message = "not_a_completion", f"{type(error).__name__}: {error}"
        raise self._failure(code, message)  # outside of `except`, so that no library's error with a header hangs on it

    def _chat(self, model: str) -> ChatOpenAI:
        return ChatOpenAI(
            model=model,
            base_url=self._endpoint.base_url,
            api_key=self._key or "none",  # type: ignore[arg-type]
            timeout=openai.Timeout(self._endpoint.timeout, connect=min(_CONNECTS_WITHIN_S, self._endpoint.timeout)),
            max_retries=0,
            use_responses_api=self._endpoint.responses_api,
            streaming=False,
            cache=False,
            http_client=self._http,
            http_async_client=self._other,
        )

    def _completion(self, answer: AIMessage) -> Completion:
        calls = [json.dumps(call["args"], ensure_ascii=False) for call in answer.tool_calls]
        calls += [str(call["args"] or "") for call in answer.invalid_tool_calls]
        metadata = answer.response_metadata
        reason = str(metadata.get("finish_reason") or "")
        if (metadata.get("incomplete_details") or {}).get("reason") == "max_output_tokens":
            reason = "length"
        if reason.lower() in dialects.BROKEN:
            raise ValueError(f"the server lost it half-way: finish_reason {plain_text(reason, 40)}")
        usage = answer.usage_metadata
        counted = None if usage is None else (usage["input_tokens"], usage["output_tokens"])
        if counted is not None and not (0 < counted[0] < _TOO_MANY and 0 <= counted[1] < _TOO_MANY):
            counted = None
        text = next((call for call in calls if call.strip() not in {"", "{}"}), "") or str(answer.text)
        if counted is not None and ((text and not counted[1]) or not all(isinstance(one, int) for one in counted)):
            counted = None
        refusal = plain_text(str(answer.additional_kwargs.get("refusal") or ""), _SHOWN)
        return Completion(_whole(text), refusal, plain_text(reason, 40), counted, self._http.body)

    def _failure(self, code: str, message: str) -> NoCompletion:
        http = self._http
        shown = " ".join(plain_text(self._redaction.text(message), _SHOWN).split())
        if http.trouble:
            code, said = http.trouble
            not_sent = code == "connection" and not http.sent
            return NoCompletion(code, said, again=code != "not_allowed", maybe_charged=not not_sent, body=http.body)
        status = None if http.status is None else dialects.status(http.status, http.body)
        if status is None or status < 300:
            what = f"an answer that is no chat completion ({shown})"
            return NoCompletion(code or "not_a_completion", what, again=True, maybe_charged=True, body=http.body)
        passed_on = status != http.status
        said = f"HTTP {status}{' in an answer of HTTP 200' if passed_on else ''}: {shown}"
        unpaid = status == 429 and dialects.is_about_money(http.body)
        return NoCompletion(
            "not_allowed" if unpaid else _code(status, http.body),
            said,
            again=status in _AGAIN and not unpaid,
            maybe_charged=passed_on and status >= 500,
            retry_after_s=http.retry_after_s,
            body=http.body,
        )


def _code(status: int, body: bytes) -> str:
    """What a status that is no success says of the request, of its model or of the server."""
    if status in {400, 403} and dialects.is_about_the_text(body):
        return "filtered"
    if status == 404:
        return "refused" if dialects.is_about_the_form(body) else "not_found"
    if status in {401, 402, 403, 405} or status < 400:
        return "not_allowed"
    if status == 429:
        return "rate_limited"
    if status in {500, 501}:
        return "failed"
    return "unavailable" if status >= 500 else "refused"


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which could be neither kept nor sent back."""
    return text.encode("utf-8", "replace").decode()


def _said(error: openai.OpenAIError) -> str:
    return str(getattr(error, "message", "") or error)


class _Guarded(openai.DefaultHttpxClient):
    """Sends to the endpoint's own address only, with the few headers that are needed, and reads bounded answers."""

    def __init__(self, endpoint: Endpoint, key: str | None, redaction: Redaction) -> None:
        super().__init__(trust_env=False, follow_redirects=False)
        self._endpoint, self._key, self._redaction = endpoint, key, redaction
        self.begin()

    def begin(self) -> None:
        """Forget the last request."""
        self.sent = False
        self.status: int | None = None
        self.retry_after_s: float | None = None
        self.body = b""
        self.trouble: tuple[str, str] | None = None
        """Code and words, where the trouble is not the answer's own."""

    def send(self, request: Any, **options: Any) -> Any:
        wanted = urlsplit(self._endpoint.base_url)
        to = (request.url.scheme, request.url.host, request.url.port)
        usual = {"http": 80, "https": 443}.get(wanted.scheme)
        if to != (wanted.scheme, wanted.hostname, None if wanted.port == usual else wanted.port):
            self.trouble = ("not_allowed", f"a request to another host than {wanted.hostname} was held back")
            raise openai.OpenAIError(self.trouble[1])
        whole = dict(request.headers)
        for name in [name for name in request.headers if name.lower() not in _HEADERS]:
            del request.headers[name]
        if self._key is None:
            request.headers.pop("authorization", None)
        request.headers["connection"] = "close"  # a connection that waits for the next question is broken by then
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
        return type(response)(
            response.status_code, headers=kind, content=dialects.completed(self.body), request=request
        )

    def _read(self, response: Any, deadline: float) -> bytes:
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > LARGEST_BODY:
                self.trouble = ("not_a_completion", f"an answer of more than {LARGEST_BODY} bytes")
                raise openai.OpenAIError(self.trouble[1])
            if time.monotonic() > deadline:
                self.trouble = ("timeout", self._late())
                raise openai.OpenAIError(self.trouble[1])
        return bytes(content)

    def _explain(self, error: Exception) -> None:
        if self.trouble is None:
            name = type(error).__name__
            if "Timeout" in name and name != "ConnectTimeout":
                self.sent = True
                self.trouble = ("timeout", self._late())
                return
            self.sent = self.sent or name not in {
                "ConnectError",
                "ConnectTimeout",
                "PoolTimeout",
                "UnsupportedProtocol",
            }
            how = "broke off" if self.sent else "could not be made"
            said = " ".join(plain_text(self._redaction.text(str(error)), _SHOWN).split())
            self.trouble = ("connection", f"the connection {how} ({said or name})")

    def _late(self) -> str:
        return f"no whole answer within {self._endpoint.timeout:g} s"


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
