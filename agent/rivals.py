"""Keeps the rivals of `competitive_registry.yaml` as the boards show them: scores brought up to date, new ones added.

Called by `agent.boards` after a board was read. The file is a person's too: scalars are spliced in and new entries
appended, and everything else stays byte for byte (`registry.competitive_text`).
"""

from __future__ import annotations

from datetime import datetime

from agent.services import Services
from registry.competitive import CompetitiveRegistry, Leaderboard
from registry.durable import write_atomically
from registry.errors import BadInput
from registry.standings import Snapshot

WATCHED = 10
"""Rivals of one board that are added by themselves: its best ones. Those a person wrote in are kept up beside them."""


def best_scores(snapshot: Snapshot) -> dict[str, tuple[str, float]]:
    """Each name's best counted score, best name first: folded name → (name as the board spells it, score).

    A board may list one name several times (dates, folders, releases). What a reader of the registry wants to know is
    what has to be beaten, so it is the best that counts, whatever the order of the rows; entries that are excluded or
    unverified, or belong to another release than the registry's `track`, say nothing.
    """
    from tools.leaderboards.names import clean_name
    from tools.leaderboards.ranking import oriented, scored

    best: dict[str, tuple[str, float]] = {}
    for entry, score in sorted(scored(snapshot), key=lambda pair: (-oriented(snapshot, pair[1]), pair[0].name)):
        best.setdefault(clean_name(entry.name).casefold(), (entry.name, score))
    return best


def updated(text: str, registry: CompetitiveRegistry, board: Leaderboard, snapshot: Snapshot) -> str:
    """The registry's text with the scores of this reading. Raises BadInput where its form cannot be kept.

    `last_updated` is the day of the reading on which the score was last found to differ.
    """
    from registry.competitive_text import with_competitor_score
    from tools.leaderboards.names import clean_name

    def folded(name: str) -> str:
        return clean_name(name).casefold()

    aliases = {c.name: c.aliases[board.name] for c in registry.competitors if board.name in c.aliases}
    here = {competitor.name: competitor for competitor in registry.competitors if competitor.source == board.name}
    shown = best_scores(snapshot)
    day = datetime.fromisoformat(snapshot.taken_at).date()
    for name, competitor in here.items():
        _, score = shown.get(folded(aliases.get(name, name)), ("", None))
        if score is not None and score != competitor.latest_score:
            text = with_competitor_score(text, name, board.name, score, day)
    ours = {folded(registry.our_solution.name), folded(board.our_entry or registry.our_solution.name)}
    known = {folded(aliases.get(name, name)) for name in here}
    called = {folded(alias): name for name, alias in aliases.items()}
    rivals = [(key, name, score) for key, (name, score) in shown.items() if key not in ours]
    for key, name, score in rivals[:WATCHED]:
        if key not in known:
            text = with_competitor_score(text, called.get(key, name), board.name, score, day)
    return text


def update(services: Services, board: Leaderboard, snapshot: Snapshot) -> None:
    """Write what the board says about rivals into the registry, in place; a file that cannot be so changed is told."""
    path = services.workspace.competitive_registry
    before = path.read_bytes().decode()  # as it stands: read_text would change its line ends
    try:
        after = updated(before, services.competitive(), board, snapshot)
    except BadInput as error:
        services.progress.say(f"[STATUS] {path.name} was not brought up to date: {error}")
        return
    if after != before:
        write_atomically(path, after)
