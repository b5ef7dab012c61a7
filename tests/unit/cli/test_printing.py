"""What the commands print on terminals of any width."""

from __future__ import annotations

import io
import re

import pytest

from parc.cli import printing
from parc.cli.platform import FEED_HEADINGS

FEEDS = [
    dict(zip(FEED_HEADINGS.values(), (feed, 41, "2012-04-16", "2012-05-26", rows, 2_246, 3, 1), strict=True))
    for feed, rows in (("calls", "9,220,000"), ("boutique_visits", "830,120"), ("line_assignments", "50,511"))
]
PROSE = "rows whose ids an earlier date already had count in no figure: calls 2012-04-20 (3 of 4,100 rows)"


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    """What is printed from now on, on a terminal of this width."""
    output = io.StringIO()
    screen = printing._Screen(width=width, force_terminal=True, color_system=None, file=output)
    monkeypatch.setattr(printing, "screen", screen)
    return output


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_word_is_broken(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    output = printed(monkeypatch, width)
    printing.table("Feeds", FEEDS, spare=("first", "days"))
    printing.table(None, [{"what": PROSE, "why": PROSE, "builds": 7}])
    printing.hanging("  [red]wrong[/] ", PROSE)
    printing.print_facts({"hold": "none", "waits for approval": PROSE})
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in re.split("[│┃ ]+", line)]
    assert words.count("boutique_visits") == words.count("2012-05-26") / 3 == 1
    assert all(words.count(word) >= 4 * PROSE.split().count(word) for word in PROSE.split())


def test_a_narrow_terminal_says_which_columns_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed(monkeypatch, 80)
    printing.table("Feeds", FEEDS, spare=("first", "days"))
    title, _, *headings = output.getvalue().partition("┡")[0].splitlines()
    assert title.strip() == "Feeds (a wider terminal also shows: first, days)"
    shown = set(re.findall("[a-z]+", " ".join(headings)))
    assert shown == set(" ".join(FEED_HEADINGS.values()).split()) - {"first", "days"}


def test_commands_stay_whole_for_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed(monkeypatch, 60)
    command = f"  approve it: parc routing apply --approve {'d73b' * 16}"
    printing.hanging("  wrong ", f"{PROSE}\n{command}")
    assert f"        {command}" in output.getvalue().splitlines()
