"""Asks language models at OpenAI-compatible endpoints: ladder, retries, one repair, budgets, the record.

Made by `agent.llm.wiring`. Everything that comes back is data from a stranger: it becomes a record that fits its
schema, or a reason why there is none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import prompts
from agent.llm import budgets, dialects, replies, rungs, schemas
from agent.llm.access import Access, find_access
from agent.llm.contract import ROLES, BudgetSpent, EndpointDown, NoReply, Question, Record, Reply, Role
from agent.llm.journal import Call, Journal, Parts, call_of
from agent.llm.keys import Redaction
from experiments.plans import Interrupted
from registry.model_config import ModelChoice, ModelConfig, Price
from registry.model_usage import Manner

if TYPE_CHECKING:
    from agent.llm.wire import Completion, NoCompletion, Wire

_NOT_THE_RUNG = (
    "context_length", "context length", "context window", "context size", "maximum context", "too long", "temperature",
    "tokens is too large", "tokens value", "output tokens", "completion tokens", "http 413",
)  # fmt: skip
"""Words of a refusal that no lower rung would change."""

OVER_BUDGET = ("budget_of_night", "budget_of_hypothesis")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before a request is sent again."""

    first_s: float = 1.0
    """Doubled with each further try, and drawn from the upper half."""
    longest_s: float = 60.0
    """Of one wait. A server that asks for more is taken for down."""


ORDINARY = Patience()


@dataclass(slots=True)
class _Asking:
    """One question on its way."""

    call: Call
    choice: ModelChoice
    price: Price
    wire: Wire
    rung: str
    limit: str
    retries: int
    proven: bool
    """Whether this rung has worked with this server before."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A completion, the request's number and what it might have cost."""

    completion: Completion
    number: int
    most: tuple[int, int]


class EndpointModel:
    """Implements `agent.llm.contract.LanguageModel`."""

    def __init__(self, parts: Parts, config: ModelConfig, patience: Patience = Patience()) -> None:
        self._parts, self._config, self._patience = parts, config, patience
        self._journal = Journal(parts)
        self._redaction = Redaction()
        self._wires: dict[str, Wire] = {}
        self._down: dict[str, tuple[int, int]] = {}
        """Endpoint, or one model of it, → the night and cycle in which it was found down; asked again in the next."""
        self._access: dict[str, Access] = {}
        for name in sorted({config.choice(role).endpoint for role in ROLES}):
            self._access[name] = access = find_access(parts.workspace, name, config.endpoints[name])
            for secret in access.secrets():
                self._redaction.add(secret)

    def name(self, role: Role) -> str:
        """Model and endpoint of a role, for people."""
        choice = self._config.choice(role)
        return f"{choice.model} at {choice.endpoint}"

    def ask(self, question: Question[Record]) -> Reply[Record]:
        """A reply that fits the schema. Raises NoReply, BudgetSpent or EndpointDown."""
        choice = self._config.choice(question.role)
        schema = schemas.strict(question.schema)
        messages, digest = self._messages(question)
        call = call_of(question, choice, self._config.endpoints[choice.endpoint].base_url, messages, schema, digest)
        if (known := self._recorded(question, call)) is not None:
            return known
        self._refuse_if_down(call, choice)
        return self._converse(
            question, self._asking(call, choice), rungs.Conversation(messages, question.schema.__name__, schema)
        )

    def _recorded(self, question: Question[Record], call: Call) -> Reply[Record] | None:
        """The reply that the log has; None where the question is open."""
        ended = self._journal.ended(call.id)
        if ended is None:
            return None
        if ended.text is None:
            raise NoReply(ended.why)
        try:
            return self._reply(question, call, replies.read(ended.text, question.schema), ended.text)
        except replies.NoFit:
            return None  # a rule beyond the schema is stricter than it was when this reply came

    def _asking(self, call: Call, choice: ModelChoice) -> _Asking:
        known = self._parts.history.models.manners.get(call.facts["server"])
        manner = known or Manner(rungs.RUNGS[0], rungs.LIMITS[0])
        return _Asking(
            call,
            choice,
            self._config.prices.models[choice.model],
            self._wire(choice.endpoint),
            manner.rung,
            manner.limit,
            self._config.endpoints[choice.endpoint].retries,
            known is not None,
        )

    def _converse(self, question: Question[Record], asking: _Asking, said: rungs.Conversation) -> Reply[Record]:
        """Ask, and once more where the reply does not fit."""
        while True:
            answer = self._down_the_ladder(asking, said)
            completion = answer.completion
            misfit: replies.NoFit | None = None
            record = None
            final = dialects.unusable(completion, asking.choice)
            if not final:
                try:
                    record = replies.read(completion.text, question.schema)
                except replies.NoFit as error:
                    misfit = error
            why = final or str(misfit or "")
            self._answered(asking, answer, why)
            if record is not None:
                return self._reply(question, asking.call, record, completion.text)
            if misfit is None or said.repair is not None:
                self._journal.gave_up(asking.call, "no_reply", why)
                raise NoReply(f"{self.name(question.role)}: {why}")
            said = replace(said, repair=(completion.text, why))
            asking.rung = rungs.after_misfit(asking.rung, form=misfit.form, no_object=misfit.no_object)

    def _down_the_ladder(self, asking: _Asking, said: rungs.Conversation) -> _Answer:
        """A completion on the highest rung from the known one on that the server takes."""
        from agent.llm.wire import NoCompletion

        while True:
            try:
                return self._sent(asking, rungs.request(said, asking.rung))
            except NoCompletion as error:
                why, code = str(error), error.code
            lower = rungs.below(asking.rung)
            if code == "failed" and lower is not None and not asking.proven:
                asking.rung, asking.retries = lower, 0  # some servers break where others refuse
                continue
            if code in OVER_BUDGET:
                self._journal.gave_up(asking.call, code, why)
                raise BudgetSpent(why, of_night=code == OVER_BUDGET[0])
            if code == "filtered":
                self._journal.gave_up(asking.call, "refused", why)
                raise NoReply(f"{asking.choice.model} at {asking.choice.endpoint} does not take the question: {why}")
            if code != "refused":
                raise self._endpoint_down(asking, why, code)
            if rungs.LIMITS[1] in why and asking.limit != rungs.LIMITS[1]:
                asking.limit = rungs.LIMITS[1]
                continue
            if lower is None or any(mark in why.lower() for mark in _NOT_THE_RUNG):
                self._journal.gave_up(asking.call, "refused", why)
                raise NoReply(f"{asking.choice.model} at {asking.choice.endpoint} refuses the request: {why}")
            asking.rung = lower

    def _sent(self, asking: _Asking, request: rungs.Request) -> _Answer:
        """One request, sent again while that may help. Raises NoCompletion or BudgetSpent."""
        from agent.llm.wire import NoCompletion

        most = budgets.most(request, asking.choice.max_output_tokens)
        estimate = budgets.usage(most, asking.price, estimated=True)
        tries = 0
        while True:
            if self._parts.cancel.is_set():
                raise _stopped()
            self._check_budget(asking.call, estimate)
            number = self._journal.asked(asking.call, request, asking.rung, asking.limit, estimate)
            self._hold_back(asking, number)
            with self._parts.ask_outside():
                try:
                    completion = asking.wire.send(asking.choice, request, asking.limit)
                    return _Answer(completion, number, most)
                except NoCompletion as error:
                    failure = error
            usage = estimate if failure.maybe_charged else budgets.NOTHING
            self._journal.failed(asking.call, number, failure.code, failure.body, usage, str(failure))
            if not failure.again or tries >= asking.retries:
                raise failure
            self._wait(tries, failure)
            tries += 1

    def _wait(self, tries: int, failure: NoCompletion) -> None:
        """Until the request may be sent again; raises the failure where that is too long, Interrupted at a stop."""
        longest = min(self._patience.first_s * 2.0**tries, self._patience.longest_s)
        seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311  (spreads the load; no secret)
        if failure.retry_after_s is not None:
            if failure.retry_after_s > self._patience.longest_s:
                raise failure
            seconds = max(seconds, failure.retry_after_s)
        with self._parts.ask_outside():
            if self._parts.cancel.wait(seconds):
                raise _stopped()

    def _answered(self, asking: _Asking, answer: _Answer, why: str) -> None:
        completion = answer.completion
        tokens = completion.usage
        if tokens is None:  # a body has more bytes than the text in it has tokens
            tokens = (answer.most[0], min(answer.most[1], len(completion.body)))
        usage = budgets.usage(tokens, asking.price, estimated=completion.usage is None)
        self._journal.answered(
            asking.call, answer.number, asking.rung, asking.limit, completion.text, completion.body, usage, why,
            completion.finish_reason,
        )  # fmt: skip

    def _check_budget(self, call: Call, estimate: Mapping[str, object]) -> None:
        try:
            budgets.check(
                self._config.budget, self._parts.history.models, self._journal.night(), call.subject, dict(estimate)
            )
        except BudgetSpent as error:
            self._journal.gave_up(call, OVER_BUDGET[0 if error.of_night else 1], str(error))
            raise

    def _hold_back(self, asking: _Asking, number: int) -> None:
        """Take an intent back where another process's, made in the same moment, left no room for it."""
        from agent.llm.wire import NoCompletion

        try:
            self._check_with_all_intents(asking.call)
        except BudgetSpent as error:
            code, why = OVER_BUDGET[0 if error.of_night else 1], str(error)
            self._journal.failed(asking.call, number, code, b"", budgets.NOTHING, why)
            raise NoCompletion(code, why, again=False, maybe_charged=False) from None

    def _check_with_all_intents(self, call: Call) -> None:
        """Raises BudgetSpent where what is in the log by now, this request's intent included, is too much."""
        budgets.check_made(self._config.budget, self._parts.history.models, self._journal.night(), call.subject)

    # -- an endpoint that is down ---------------------------------------------------------------------------

    def _moment(self) -> tuple[int, int]:
        return self._parts.history.nights, self._parts.history.cycles

    def _refuse_if_down(self, call: Call, choice: ModelChoice) -> None:
        for name in (choice.endpoint, _of_model(choice)):
            if self._down.get(name) != self._moment():
                continue
            why = f"{name} was found down in this cycle and is asked again in the next"
            self._journal.gave_up(call, "endpoint_down", why)
            raise EndpointDown(why)

    def _endpoint_down(self, asking: _Asking, why: str, code: str) -> EndpointDown:
        down = _of_model(asking.choice) if code == "not_found" else asking.choice.endpoint
        self._down[down] = self._moment()
        self._journal.gave_up(asking.call, "endpoint_down", why)
        return EndpointDown(f"{asking.choice.model} at {asking.choice.endpoint}: {why}", code)

    # -- parts of a call ------------------------------------------------------------------------------------

    def _messages(self, question: Question[Record]) -> tuple[tuple[rungs.Message, ...], str]:
        """What is said, without keys, and the hash of the prompt's file."""
        text = prompts.text(question.prompt)
        text.fill(**question.values)  # complains about missing and superfluous values
        filled = []
        for part in prompts.parts(text.template):  # parted before strangers' text is in it
            piece = replace(text, template=part)
            filled.append(piece.fill(**{name: question.values[name] for name in piece.slots}))
        said = [("system", filled[0]), ("user", filled[1])]
        said += [("assistant" if turn.speaker == "model" else "user", turn.text) for turn in question.earlier]
        clean = [(who, self._redaction.text(what).encode("utf-8", "replace").decode()) for who, what in said]
        return tuple({"role": who, "content": what} for who, what in clean), text.sha256

    def _reply(self, question: Question[Record], call: Call, record: Record, text: str) -> Reply[Record]:
        return Reply(record, text, call.id, self.name(question.role))

    def _wire(self, name: str) -> Wire:
        if name not in self._wires:
            from agent.llm.wire import Wire

            endpoint = self._config.endpoints[name]
            self._wires[name] = Wire(endpoint, self._access[name], self._redaction)
        return self._wires[name]


def _stopped() -> Interrupted:
    return Interrupted("stopped while a language model was asked")


def _of_model(choice: ModelChoice) -> str:
    return f"{choice.model} at {choice.endpoint}"
