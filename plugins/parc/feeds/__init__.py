"""The feeds that the platform accepts, each declared once."""

from collections.abc import Mapping
from types import MappingProxyType

from parc.feeds.active_lines import ACTIVE_LINES
from parc.feeds.boutique_visits import BOUTIQUE_VISITS
from parc.feeds.boutiques import BOUTIQUES
from parc.feeds.calls import CALLS
from parc.feeds.declaration import (
    LONGEST_VALUE,
    Column,
    Derivation,
    Derived,
    Feed,
    Form,
    Keeping,
    Needs,
    Personal,
    Retention,
    Stored,
    Type,
    UnknownFeed,
    Window,
)
from parc.feeds.interventions import INTERVENTIONS
from parc.feeds.line_assignments import LINE_ASSIGNMENTS
from parc.feeds.numbering_plan import NUMBERING_PLAN

FEEDS: Mapping[str, Feed] = MappingProxyType(
    {
        feed.name: feed
        for feed in (
            CALLS,
            BOUTIQUE_VISITS,
            INTERVENTIONS,
            ACTIVE_LINES,
            BOUTIQUES,
            NUMBERING_PLAN,
            LINE_ASSIGNMENTS,
        )
    }
)

FACTS = tuple(name for name, feed in FEEDS.items() if feed.is_daily)
REFERENCES = tuple(name for name in FEEDS if name not in FACTS)
IN_LOADING_ORDER = REFERENCES + FACTS
"""References first, as facts are checked against them."""


def get(name: str) -> Feed:
    """The feed of this name.

    Raises UnknownFeed, listing the declared feeds.
    """
    try:
        return FEEDS[name]
    except KeyError:
        raise UnknownFeed(f"no feed is called `{name}`; choose from {', '.join(sorted(FEEDS))}") from None


__all__ = [
    "FACTS",
    "FEEDS",
    "IN_LOADING_ORDER",
    "LONGEST_VALUE",
    "REFERENCES",
    "Column",
    "Derivation",
    "Derived",
    "Feed",
    "Form",
    "Keeping",
    "Needs",
    "Personal",
    "Retention",
    "Stored",
    "Type",
    "UnknownFeed",
    "Window",
    "get",
]
