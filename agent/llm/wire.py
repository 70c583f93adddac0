"""One request to one endpoint, through langchain-openai: what came back, or why nothing usable did. No second try.

Used by `agent.llm.client`, which imports it when the first question is asked, because the libraries take a second to
load. Nothing from the environment changes where a request goes or what is in its header: no `OPENAI_*`, no tracing, and
no proxy but the one that `models.yaml` names.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from dataclasses import dataclass

import openai
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langsmith import tracing_context

from agent.llm import dialects
from agent.llm.access import Access
from agent.llm.connections import AGAIN, SHOWN, Guarded
from agent.llm.keys import Redaction
from agent.llm.rungs import Request
from registry.errors import AgentError
from registry.model_config import Endpoint, ModelChoice
from sandbox.outputs import plain_text

_CONNECTS_WITHIN_S = 10.0
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
        `timeout`, `connection`, `untrusted` (who signed its certificate is not trusted), `certificate` (it is not in
        force, or another's), `proxy` (it made no connection), `not_a_completion`, `not_found` (any of this model),
        `not_allowed` (any request)."""
        self.again = again
        """Whether the same request may succeed a moment later."""
        self.maybe_charged = maybe_charged
        """Whether the provider may have worked, and asks to be paid, all the same."""
        self.retry_after_s = retry_after_s
        self.body = body
        super().__init__(message)


class Wire:
    """An endpoint's connections."""

    def __init__(self, endpoint: Endpoint, access: Access, redaction: Redaction) -> None:
        for variable in ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"):  # old tracing, at which the library fails
            os.environ.pop(variable, None)
        for library in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(library).setLevel(logging.WARNING)  # OPENAI_LOG=debug would write requests out
        self._endpoint, self._key, self._redaction = endpoint, access.key, redaction
        self._http = Guarded(endpoint, access, redaction)
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
        refusal = plain_text(str(answer.additional_kwargs.get("refusal") or ""), SHOWN)
        return Completion(_whole(text), refusal, plain_text(reason, 40), counted, self._http.body)

    def _failure(self, code: str, message: str) -> NoCompletion:
        http = self._http
        shown = " ".join(plain_text(self._redaction.text(message), SHOWN).split())
        if http.trouble:
            trouble = http.trouble
            return NoCompletion(
                trouble.code, trouble.said, again=trouble.again, maybe_charged=http.sent, body=http.body
            )
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
            again=status in AGAIN and not unpaid,
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
    if status == 407:
        return "proxy"
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
