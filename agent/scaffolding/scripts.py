"""Which scripts train, predict and evaluate, and the command each one takes, read from their source.

Called by `agent.scaffolding.looking`. A script is parsed, never run: its options are the string constants of its
`add_argument` and `option` calls, matched to the placeholders of `target.yaml` by the names people give them.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ROLES = ("train", "predict", "evaluate")
_STEMS = {
    "train": ("train", "training", "fit", "finetune", "fine_tune", "main"),
    "predict": ("predict", "prediction", "infer", "inference", "generate"),
    "evaluate": ("evaluate", "eval", "evaluation", "score", "scoring", "metrics"),
}
_FOLDERS = ("", "scripts", "src", "bin", "tools")
_ASIDE = frozenset({"test", "tests", "docs", "doc", "examples", "notebooks", "vendor", "third_party"})
_OUT = (
    "out output output_dir out_dir outdir output_path output_folder save_dir save_path save_to result_dir results_dir"
)
_OPTIONS: dict[str, dict[str, str]] = {
    "train": {
        "config": "config config_file config_path cfg conf configuration params settings",
        "seed": "seed random_seed random_state rng_seed",
        "data": "data data_dir data_path data_folder dataset dataset_dir train_data train_dir train_path train inputs",
        "out": f"{_OUT} model model_dir model_path model_out checkpoint checkpoint_dir ckpt_dir run_dir",
    },
    "predict": {
        "config": "config config_file config_path cfg conf configuration params settings",
        "seed": "seed random_seed random_state rng_seed",
        "model": "model model_dir model_path checkpoint checkpoint_dir checkpoint_path ckpt weights weights_dir",
        "inputs": "inputs input input_dir inputs_dir input_path data data_dir data_path features test_data",
        "out": f"{_OUT} predictions predictions_dir",
    },
    "evaluate": {
        "predictions": "predictions prediction preds pred predictions_dir predictions_path pred_dir answers system",
        "labels": "labels label labels_dir labels_path gold truth ground_truth targets references reference",
        "out": f"{_OUT} metrics metrics_dir",
    },
}
PLACEHOLDERS_IN_ORDER = {role: tuple(options) for role, options in _OPTIONS.items()}
_HIGHER = (
    "accuracy acc balanced_accuracy f1 macro_f1 micro_f1 f1_score auc roc_auc auroc map mrr ndcg precision recall bleu"
)
_HIGHER += (
    " rouge rouge_l meteor exact_match em iou miou dice psnr ssim r2 spearman pearson kendall score reward pass_at_1"
)
_LOWER = (
    "loss error error_rate mae mse rmse mape perplexity ppl wer cer ter fid log_loss brier ece bits_per_byte bpb cost"
)
DIRECTIONS: Mapping[str, bool] = {
    **dict.fromkeys(_HIGHER.split(), True),
    **dict.fromkeys(_LOWER.split(), False),
}
"""Known metrics → higher is better."""


_VAGUE = frozenset({"score", "reward", "loss", "error", "cost"})
"""Names that a single item's result goes by as well; any other metric beside them comes first."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script for one role: its command where its options tell one, else why they do not."""

    path: str
    command: tuple[str, ...] = ()
    why_not: str = ""
    others: tuple[str, ...] = ()
    """Further scripts that look like it."""
    config_default: str = ""
    """What its option for the configuration names when it is left out."""


@dataclass(frozen=True, slots=True)
class _Option:
    names: tuple[str, ...]
    required: bool
    default: str

    @property
    def positional(self) -> bool:
        return not self.names[0].startswith("-")

    @property
    def spelled(self) -> str:
        return max(self.names, key=len)

    def means(self, words: Sequence[str]) -> int | None:
        """Place of the option's best name among the words for a placeholder, or None."""
        plain = [name.lstrip("-").replace("-", "_").lower() for name in self.names]
        return min((words.index(name) for name in plain if name in words), default=None)


def candidates(paths: Iterable[str], role: str) -> list[str]:
    """Python files that look like the role's script, the likeliest first."""
    ranked = [(rank, path) for path in paths if (rank := _rank(path, role)) is not None]
    return [path for _, path in sorted(ranked)]


def _rank(path: str, role: str) -> tuple[int, int, int] | None:
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    parts = set(folder.split("/"))
    if not dot or suffix != "py" or parts & _ASIDE or any(part.startswith(".") for part in parts):
        return None
    words = stem.lower().split("_")
    stems = _STEMS[role]
    if stem.lower() in stems:
        likeness = stems.index(stem.lower())
    elif words[0] in stems[:-1] or words[-1] in stems[:-1]:
        likeness = len(stems)
    else:
        return None
    place = _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS)
    return place, likeness, len(path)


def read_script(path: str, source: str, role: str, others: Sequence[str] = ()) -> Script:
    """The role's command, from the options that the source declares."""
    rest = tuple(others)
    tree = parsed(source)
    if tree is None:
        return Script(path, why_not=f"{path} does not parse as Python", others=rest)
    options = _options(tree)
    taken: dict[int, str] = {}
    for placeholder, words in _OPTIONS[role].items():
        fits = [(rank, i) for i, option in enumerate(options) if (rank := option.means(words.split())) is not None]
        free = [(rank, i) for rank, i in fits if i not in taken]
        if free:
            taken[min(free)[1]] = placeholder
    default = next((options[i].default for i, placeholder in taken.items() if placeholder == "config"), "")
    if "out" not in taken.values():
        found = ", ".join(option.spelled for option in options) or "none"
        return Script(path, why_not=f"{path} has no option for its output folder (found {found})", others=rest)
    if needed := [option.spelled for i, option in enumerate(options) if option.required and i not in taken]:
        why = f"{path} also needs {', '.join(needed)}, which could mean anything"
        return Script(path, why_not=why, others=rest, config_default=default)
    command = ["python", path]
    for i, option in enumerate(options):
        if i in taken:
            command += ["{" + taken[i] + "}"] if option.positional else [option.spelled, "{" + taken[i] + "}"]
    return Script(path, tuple(command), others=rest, config_default=default)


def parsed(source: str) -> ast.Module | None:
    """The syntax tree, or None where the source is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _options(tree: ast.Module) -> list[_Option]:
    """Options in the order of the source; positional arguments count as required."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in {"add_argument", "option", "argument"}:
            continue
        names = tuple(_text(word) for word in node.args if _text(word))
        if not names:
            continue
        given = {word.arg: word.value for word in node.keywords if word.arg}
        positional = not names[0].startswith("-")
        optional = _text(given.get("nargs")) in {"?", "*"} or "default" in given
        required = (positional and not optional) or _is_true(given.get("required"))
        flags = tuple(name for name in names if name.startswith("-")) if not positional else names[:1]
        place = (node.lineno, node.col_offset)
        found.append((place, _Option(flags, required, _text(given.get("default")))))
    return [option for _, option in sorted(found, key=lambda pair: pair[0])]


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def metric_in(source: str) -> str:
    """The first known metric that the source writes under a key; empty where there is none."""
    tree = parsed(source)
    if tree is None:
        return ""
    keys: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys += [(key.lineno, key.col_offset, _text(key)) for key in node.keys if key is not None]
        elif isinstance(node, ast.Subscript):
            keys.append((node.slice.lineno, node.slice.col_offset, _text(node.slice)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            keys += [(word.value.lineno, word.value.col_offset, word.arg or "") for word in node.keywords]
    known = [name for _, _, name in sorted(keys) if name.lower() in DIRECTIONS]
    return next((name for name in known if name.lower() not in _VAGUE), next(iter(known), ""))


def local_imports(source: str, path: str, paths: frozenset[str]) -> list[str]:
    """Files of the repository that a script imports by name, from beside itself or from the root."""
    tree = parsed(source)
    if tree is None:
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    folder = path.rpartition("/")[0]
    places = []
    for name in names:
        for start in dict.fromkeys((f"{folder}/" if folder else "", "")):
            stem = start + name.replace(".", "/")
            places += [place for place in (f"{stem}.py", f"{stem}/__init__.py") if place in paths]
    return list(dict.fromkeys(places))
