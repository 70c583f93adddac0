"""The text of `models.yaml` for one model at one endpoint. Called by `agent init --endpoint`."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from registry.documents import load_models
from registry.errors import BadInput, Problem
from registry.model_config import VARIABLE, is_nearby

_PRICE = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")
_OPTIONS = {"base_url": "--endpoint", "key": "--key-env", "model": "--model"}


def text(endpoint: str, model: str | None, key_env: str | None, price: str | None) -> str:
    """The file. BadInput names the option that is wrong or missing."""
    if not model:
        raise BadInput(Problem("--model", "nothing", "the model's name at the endpoint"))
    if key_env is not None and not re.fullmatch(VARIABLE, key_env):
        expected = "the name of an environment variable in capitals, such as MODEL_KEY"
        raise BadInput(
            Problem("--key-env", "something else (not shown)", expected, fix="a key itself goes into no file")
        )
    tokens = _PRICE.fullmatch(price or "")
    if price is not None and tokens is None:
        raise BadInput(Problem("--price", json.dumps(price), "INPUT/OUTPUT for a million tokens, such as 2.5/10"))
    if tokens is None and not is_nearby(endpoint):
        _check(_made(endpoint, model, key_env, ("0", "0")))  # a wrong address is told before a missing price
        fix = "--price INPUT/OUTPUT in USD for a million tokens; 0/0 where it costs nothing"
        raise BadInput(Problem("--price", "nothing", "what the model costs", fix=fix))
    costs = (tokens[1], tokens[2]) if tokens else ("0", "0")
    made = _made(endpoint, model, key_env, costs)
    _check(made)
    return made


def _made(endpoint: str, model: str, key_env: str | None, costs: tuple[str, str]) -> str:
    return _TEMPLATE.format(
        url=json.dumps(endpoint),
        model=json.dumps(model),
        key=f"    key: {{env: {key_env}}}\n" if key_env else "",
        input=costs[0],
        output=costs[1],
    )


def _check(made: str) -> None:
    """Read it as a night would; complaints name the option instead of a file that is not there."""
    with tempfile.TemporaryDirectory(prefix="agent-init-") as folder:
        path = Path(folder) / "models.yaml"
        path.write_text(made, encoding="utf-8")
        try:
            load_models(path)
        except BadInput as error:
            raise BadInput(
                *(
                    replace(one, where=_OPTIONS.get(one.place.rpartition(".")[2], "--endpoint"), line=None, place="")
                    for one in error.problems
                )
            ) from None


_TEMPLATE = """\
# Which language models are asked, and what they may cost: docs/models.md has every key.
version: 1
endpoints:
  main:
    base_url: {url}
{key}models:
  default:
    endpoint: main
    model: {model}
    max_output_tokens: 4096
  patch:
    max_output_tokens: 16000
prices:   # for a million tokens
  currency: USD
  models:
    {model}: {{input: {input}, output: {output}}}
budget:
  night: {{money: 5, calls: 500}}
  hypothesis: {{money: 0.5, calls: 40}}
"""
