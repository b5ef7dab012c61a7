"""Every column that holds personal data: what it holds, why, and for how long.

The list is compiled from the declarations of the feeds, the meta of the models, and the entries below for
tables that belong to neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parc.build import retention
from parc.feeds import FEEDS, Derivation, Derived, Feed

AGENT, CALLER, CUSTOMER, LINE = "agent", "caller", "customer", "customer's line"
PURPOSES = {
    "agent_key": (
        AGENT,
        "To detect answered calls that name no agent, and to count the agents at work at a site.",
    ),
    "caller_identity": (CALLER, "Repeat calls by unidentified callers."),
    "caller_key": (
        CALLER,
        "The home of a number whose prefix misleads; repeats that the identity may have missed.",
    ),
    "caller_prefix": (CALLER, "The home of a call: six digits, shared by some ten thousand lines."),
    "customer_identity": (CUSTOMER, "Repeats, and contacts that follow in another channel."),
    "customer_key": (CUSTOMER, "Calls after a job; whether a contact is identified."),
    "identity_key": ("customer or caller", "Repeats, and contacts that follow in another channel."),
    "line_key": (LINE, "Repairs that come back on the same line."),
}
"""For each derived column: whose data it is, and its purpose."""

FOR_GOOD = "for good"


@dataclass(frozen=True)
class Place:
    """A column that holds personal data. `table` is schema.table, or a place outside the database; `column`
    is empty if the whole place is meant."""

    table: str
    column: str
    of: str
    what: str
    purpose: str
    kept: str


_STAFF = "People who decide about calls are accountable for it."
_OTHERS = (
    Place(
        "the landing zone",
        "",
        "customer, caller, agent",
        "what was delivered",
        "The source of everything.",
        "as its owner decides; only `parc forget --delete-files` deletes anything there",
    ),
    Place(
        "the switch",
        "exceptions",
        CALLER,
        "telephone number",
        "A number whose prefix misleads is answered at home.",
        "until 14 later tables have been live, with the table that names it; `parc forget` removes it",
    ),
    Place(
        "routing.line_assignment",
        "number",
        CALLER,
        "telephone number",
        "The switch only knows numbers.",
        "as `raw.line_assignments`",
    ),
    Place(
        "routing.urgent_assignment",
        "number",
        CALLER,
        "telephone number",
        "To send a number to a zone by hand.",
        "a year after it was replaced or ended",
    ),
    Place(
        "routing.live_exception",
        "number_key",
        CALLER,
        "pseudonym",
        "To say on a page where the calls of a number go.",
        "until the switch gets a table without the number",
    ),
    Place(
        "ops.number_question",
        "number_key",
        CALLER,
        "pseudonym",
        "To know who asked where the calls of a number go.",
        "a year",
    ),
    Place("ops.number_question", "asked_by", "staff", "login or name", _STAFF, "a year"),
    Place(
        "intermediate.int_call_roots",
        "queued_legs",
        AGENT,
        "pseudonyms, in JSON",
        "To count the agents at work at a site: only their number is kept.",
        "until the build is published: Emptied when the build is published.",
    ),
    Place(
        "ops.routing_change",
        "row_key",
        CALLER,
        "pseudonym of a number",
        "To record which rows a release changed.",
        FOR_GOOD,
    ),
    Place(
        "ops.forgotten",
        "pseudonym",
        "who was forgotten",
        "pseudonym",
        "So that no load brings the person back.",
        f"{FOR_GOOD}; a copy is `forgotten.json` in the platform's folder",
    ),
    Place(
        "ops.quarantine",
        "row_text",
        "customer, caller, agent",
        "a row that broke a rule, its personal columns masked",
        "So that somebody can fix the rule or the delivery.",
        "a year",
    ),
    *(
        Place(table, column, "staff", "login or name", _STAFF, FOR_GOOD)
        for table, columns in {
            "ops.routing_release": ("requested_by", "approved_by"),
            "ops.routing_hold": ("set_by",),
            "ops.routing_kill_switch": ("set_by",),
            "ops.routing_drift": ("accepted_by",),
            "ops.routing_drain": ("set_by",),
            "ops.routing_plan": ("requested_by",),
            "ops.routing_request": ("requested_by",),
            "ops.routing_answer": ("answered_by", "answered_by_id"),
            "ops.forgetting": ("requested_by",),
        }.items()
        for column in columns
    ),
)


def places(project: Path) -> list[Place]:
    """All places, ordered by table."""
    found = [place for feed in FEEDS.values() for place in _of_feed(feed)]
    for kept in retention.declared(project):
        for schema in kept.schemas:
            days = f"{kept.days} days" if kept.days else "until the build is published"
            found += [
                Place(f"{schema}.{kept.model}", column, *_described(column), f"{days}: {kept.reason}")
                for column in kept.person_keys
            ]
    return sorted([*found, *_OTHERS], key=lambda place: (place.table, place.column))


def _of_feed(feed: Feed) -> list[Place]:
    personal = {column.name for column in feed.file_columns if column.personal}
    keys = {column.name for column in feed.derived_columns if column.by is Derivation.KEY}
    return [
        Place(
            f"raw.{feed.name}",
            column.name,
            *_described(column.name, column),
            f"{feed.retention.days} days: {feed.retention.reason}",
        )
        for column in feed.derived_columns
        if column.source in personal | keys
    ]


def _described(column: str, derived: Derived | None = None) -> tuple[str, str, str]:
    """Whose data a column is, what it holds, and its purpose."""
    of, purpose = PURPOSES[column]
    if derived and derived.by is Derivation.PREFIX:
        return of, "beginning of a telephone number", purpose
    return (
        of,
        "pseudonym" if column.endswith("_key") and column != "identity_key" else "first half of a pseudonym",
        purpose,
    )
