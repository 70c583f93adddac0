"""Joins what was found in a repository with what a person said, and tells what is still missing or does not fit.

Called by `agent init`, again after each answer. Pure but for asking whether named folders and interpreters exist.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from agent.scaffolding import folders, scripts
from agent.scaffolding.answers import Missing, Plan, Said
from agent.scaffolding.looking import Findings
from registry.competitive import LOCAL_METHODS, web_address
from registry.errors import Problem
from registry.scaffold import BoardValues, TargetValues
from registry.target import PLACEHOLDERS

_TRUE, _FALSE = frozenset({"y", "yes", "higher", "true"}), frozenset({"n", "no", "lower", "false"})
SOURCES = tuple(
    f".{kind}"
    for kind in (
        *("c", "h", "cc", "cpp", "cxx", "hh", "hpp", "cu", "cuh", "m", "rs", "go", "zig", "f90", "f95", "java", "kt"),
        *("scala", "swift", "cs", "jl", "R", "r", "ml", "mli", "hs", "lua", "js", "mjs", "ts", "rb", "pl", "sh"),
    )
)
"""Ends of names of code in other languages."""
STARTERS = frozenset({"make", "gmake", "ninja", "cmake", "meson", "sh", "bash", "dash", "zsh", "env", "just", "bazel"})
"""Programs that do their work by others, which no command of a phase names."""
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def join(findings: Findings, said: Said, written_repository: str) -> Plan:
    """The plan that findings and answers make together."""
    return _Joining(findings, said).plan(written_repository)


class _Joining:
    def __init__(self, findings: Findings, said: Said) -> None:
        self.findings = findings
        self.said = said
        self.missing: list[Missing] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._commands: list[tuple[str, ...]] = []

    def plan(self, repository: str) -> Plan:
        train, evaluate = self._command("train"), self._command("evaluate")
        predict = self._predict()
        build = self._build((*train, *predict))
        self._commands = [command for command in (build, train, predict, evaluate) if command]
        config = self._config()
        data = self._folder("data", self.findings.data.train, "a folder of training data") if "{data}" in train else ""
        inputs = self._splits("inputs", self.findings.data.inputs) if predict else {}
        labels = self._splits("labels", self.findings.data.labels)
        metric = self._metric()
        higher = self._direction(metric)
        boards = self._boards(metric, higher)
        found = self.findings.configuration
        self._note_what_was_chosen()
        target = TargetValues(
            name=self._name(),
            repository=repository,
            base=self.findings.base,
            config=config,
            train=train,
            predict=predict,
            evaluate=evaluate,
            train_data=data,
            inputs=inputs,
            labels=labels,
            metric=metric,
            higher_is_better=higher,
            leaderboard=boards[0].name if boards else "",
            editable=self._editable(config),
            protected=self._protected(evaluate, [data, *inputs.values(), *labels.values()]),
            python=self._python() if self._calls_python() else self.said.python or "",
            programs=() if self._calls_python() else self._programs(),
            build=build,
            search_space={one.name: (one.path, one.values, one.tags) for one in found.tunables} if found else {},
            fast=dict(found.fast) if found else {},
        )
        domain = self.said.domain or "general"
        return Plan(target, boards, domain, tuple(self.missing), tuple(self.problems), tuple(self.notes))

    # -- commands -------------------------------------------------------------------------------------------

    def _command(self, role: str) -> tuple[str, ...]:
        said = getattr(self.said, role)
        if said is not None:
            return self._given_command(role, said)
        script = self.findings.scripts.get(role)
        if script is not None and script.command:
            return script.command
        why = script.why_not if script is not None else f"no script that looks like it (such as {role}.py)"
        if loose := [name for name in self.findings.uncommitted if name in scripts.candidates([name], role)]:
            why = f"{loose[0]} is in the checkout and in no commit; commit it, or name another"
        example = " ".join(f"--{word} {{{word}}}" for word in scripts.PLACEHOLDERS_IN_ORDER[role])
        program = f"python {role}.py"
        if role != "evaluate" and not self._python_is_there():
            program, why = f"{{build}}/solution {role}", f"{why}; what --build makes is in {{build}}"
        self.missing.append(Missing(role, f"The command to {role}, such as: {program} {example}", why))
        return ()

    def _predict(self) -> tuple[str, ...]:
        if self.said.predict is None and "predict" not in self.findings.scripts:
            self.notes.append("no predict script: what train leaves is evaluated as it is (else: --predict)")
            return ()
        return self._command("predict")

    def _build(self, used_by: Sequence[str]) -> tuple[str, ...]:
        """How a program is made of the code; asked for where a command uses it."""
        if self.said.build is not None:
            return self._given_command("build", self.said.build)
        if any("{build}" in word for word in used_by):
            question = "The command that builds the code, such as: cc -O2 -o {out}/solution src/main.c"
            self.missing.append(Missing("build", question, "a command uses {build}"))
        return ()

    def _calls_python(self) -> bool:
        """Whether a phase runs under Python, or may, as long as commands are missing."""
        unknown = self._python_is_there() and any(one.about in scripts.ROLES for one in self.missing)
        return unknown or any(command[0] in {"python", "python3"} for command in self._commands)

    def _python_is_there(self) -> bool:
        """Whether there is Python in the repository, or no source in any other language."""
        others = any(path.endswith(SOURCES) for path in self.findings.paths)
        return not others or any(path.endswith(".py") for path in self.findings.paths)

    def _programs(self) -> list[str]:
        """Programs of the machine that the commands begin with; a script's is the shell."""
        if self.said.python is not None:
            return []
        named = {command[0] for command in self._commands if re.fullmatch(r"[A-Za-z0-9][\w.+-]*", command[0])}
        if starting := sorted(named & STARTERS):
            self.notes.append(
                f"{', '.join(starting)}: such programs start others. Name those too in environment.programs (as cc),"
                " so that one that is upgraded counts as another environment"
            )
        return sorted(named) or ["sh"]

    def _is_code(self, path: str) -> bool:
        return path.endswith(".py") or (not self._calls_python() and path.endswith(SOURCES))

    def _given_command(self, role: str, said: str) -> tuple[str, ...]:
        try:
            words = tuple(shlex.split(said))
        except ValueError as error:
            self._problem(f"--{role}", f"{said!r} ({error})", "a command line with balanced quotes")
            return ()
        known = ", ".join("{" + word + "}" for word in sorted(PLACEHOLDERS[role]))
        used = {name for word in words for name in re.findall(r"\{([a-z_]+)\}", word)}
        if unknown := sorted(used - PLACEHOLDERS[role]):
            self._problem(f"--{role}", f"the placeholder {{{unknown[0]}}}", f"only {known}")
        elif "out" not in used:
            self._problem(f"--{role}", f"{said!r} without {{out}}", f"{{out}}, where its result goes (of {known})")
        for word in words:
            if word.endswith(".py") and "{" not in word and word.removeprefix("./") not in self.findings.paths:
                self._problem(
                    f"--{role}", f"{word}, which is not in commit {self.findings.commit[:12]}", "a committed file"
                )
        return words

    # -- files and folders ----------------------------------------------------------------------------------

    def _config(self) -> str:
        found, said = self.findings.configuration, self.said.config
        if said is not None:
            if said not in self.findings.paths:
                self._problem(
                    "--config", f"{said}, which is not in commit {self.findings.commit[:12]}", "a committed file"
                )
            elif found is None:
                self._problem(
                    "--config", f"{said}, in which no setting stands", "a YAML, JSON or TOML file of settings"
                )
            return said
        if found is None:
            why = "no YAML, JSON or TOML file of settings such as configs/production.yaml"
            self.missing.append(Missing("config", "The file with every tunable setting", why))
            return ""
        return found.path

    def _splits(self, kind: str, found: dict[str, str]) -> dict[str, str]:
        return {
            split: self._folder(f"{kind}_{split}", found.get(split, ""), f"a folder with the {split} split's {kind}")
            for split in ("dev", "test")
        }

    def _folder(self, about: str, found: str, what: str) -> str:
        said = getattr(self.said, about)
        if said is None:
            if not found:
                self.missing.append(
                    Missing(about, f"{what.capitalize()}, relative to the repository", f"no {what[2:]}")
                )
            return found
        path = str(said).strip("/").removeprefix("./")
        if not self.findings.has_folder(path):
            flag = "--" + about.replace("_", "-")
            self._problem(flag, f"{said}, which is no folder of the repository", what)
        return path

    def _python(self) -> str:
        said, found = self.said.python, self.findings.interpreter
        if said is None:
            if not found.written:
                question = "The solution's own interpreter (relative to the repository, or absolute)"
                self.missing.append(Missing("python", question, found.why_not))
            return found.written
        if why_not := folders.refusal(self.findings.root / Path(said).expanduser()):
            self._problem("--python", f"{said}: {why_not}", "the interpreter of the solution's own environment")
        return str(Path(said).expanduser())

    def _editable(self, config: str) -> list[str]:
        """Globs over the code there is: scripts of the root, folders with code in them, and the configuration."""
        aside = {"tests", "test", "docs", "data", "datasets", "examples", "notebooks"}
        code = [path for path in self.findings.paths if self._is_code(path)]
        tops = sorted({path.split("/")[0] for path in code if "/" in path})
        globs = [f"*.{kind}" for kind in sorted({path.rpartition(".")[2] for path in code if "/" not in path})]
        globs += [f"{top}/**" for top in tops if top not in aside and not top.startswith(".")]
        folder = config.rpartition("/")[0]
        own = f"{folder}/**" if folder else config
        return [*globs, *([own] if own and own not in globs else [])]

    def _protected(self, evaluate: Sequence[str], data: Sequence[str]) -> list[str]:
        own = [word.removeprefix("./") for word in evaluate if word.removeprefix("./") in self.findings.paths]
        if self.said.evaluate is None:
            own += list(self.findings.evaluator)
        if self.findings.shared:
            shared = ", ".join(self.findings.shared)
            self.notes.append(
                f"{shared}: imported by evaluate and by train or predict too. A protected file is not shown to train,"
                " an unprotected one not to evaluate: give evaluate a copy of its own"
            )
        return [*dict.fromkeys([*own, *(f"{self._data_root(path)}/**" for path in data if path)])]

    def _data_root(self, path: str) -> str:
        """The top folder that data stands in, unless code stands in it too."""
        top = path.split("/")[0]
        code = any(other.startswith(f"{top}/") and self._is_code(other) for other in self.findings.paths)
        return path if code else top

    # -- words ----------------------------------------------------------------------------------------------

    def _name(self) -> str:
        plain = unicodedata.normalize("NFKD", self.findings.root.name)
        unmarked = "".join(each for each in plain if not unicodedata.combining(each))
        return self.said.name or _NAME.sub("-", unmarked).strip("-.") or "solution"

    def _metric(self) -> str:
        metric = self.said.metric or self.findings.metric
        if not metric:
            why = "no metric with a known name among what evaluate writes"
            self.missing.append(Missing("metric", "The name of the primary metric in metrics.json", why))
        return metric

    def _direction(self, metric: str) -> bool:
        said = (self.said.better or "").lower()
        if said in _TRUE | _FALSE:
            return said in _TRUE
        if said:
            self._problem("the answer", repr(said), "yes or no")
        known = scripts.DIRECTIONS.get(metric.lower())
        if known is None and metric:
            self.missing.append(
                Missing("better", f"Is a higher {metric} better (yes or no)", f"{metric}, which is no known metric")
            )
        return known is not False

    def _boards(self, metric: str, higher: bool) -> tuple[BoardValues, ...]:
        said = self.said
        if said.board is None:
            if said.url is not None:
                self.missing.append(
                    Missing("board", f"The name of the leaderboard at {said.url}", "--url without a board")
                )
            else:
                self.notes.append(
                    "no leaderboard yet: add one to competitive_registry.yaml, then its name to metrics.primary"
                )
            return ()
        if said.url is None:
            self.missing.append(Missing("url", f"The address of {said.board}", "--board without its address"))
            return ()
        if (said.scrape_method or "html_table") not in LOCAL_METHODS:
            try:
                web_address(said.url)
            except ValueError as error:
                address = str(error).removesuffix(" is expected")
                self._problem("--url", said.url, f"{address}; a file is read with --scrape-method git_file or manual")
                return ()
        return (BoardValues(said.board, said.url, said.scrape_method or "html_table", metric or "score", higher),)

    def _note_what_was_chosen(self) -> None:
        for role, script in self.findings.scripts.items():
            if script.others and getattr(self.said, role) is None and script.command:
                self.notes.append(f"{role}: {script.path} was chosen, not {', '.join(script.others[:3])}")
        found = self.findings.configuration
        if found is not None and found.others and self.said.config is None:
            self.notes.append(f"configuration: {found.path} was chosen, not {', '.join(found.others[:3])}")

    def _problem(self, where: str, found: str, expected: str) -> None:
        self.problems.append(Problem(where, found, expected))
