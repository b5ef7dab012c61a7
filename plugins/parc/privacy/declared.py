"""Every column that holds something of a person: what, why, and how long.

It is put together from where each is declared: the feeds, the models' meta, and what is listed here of the
tables that neither a feed nor a model makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parc.build import retention
from parc.feeds import FEEDS, Derivation, Derived, Feed

AGENT, CALLER, CUSTOMER, LINE = "agent", "caller", "customer", "customer's line"
PURPOSES = {
    "agent_key": (AGENT, "An answered call without an agent is told as a fault of the delivery."),
    "caller_identity": (CALLER, "Repeats of who called without being identified."),
    "caller_key": (
        CALLER,
        "The home of a number whose prefix misleads; repeats that an identity may have missed.",
    ),
    "caller_prefix": (CALLER, "The home of a call: six digits, some ten thousand lines."),
    "customer_identity": (CUSTOMER, "Repeats, and what one channel leaves to another."),
    "customer_key": (CUSTOMER, "Calls after a job; whether a contact is identified."),
    "identity_key": ("customer or caller", "Repeats, and what one channel leaves to another."),
    "line_key": (LINE, "Repairs that come back on the same line."),
}
"""Of each derived column: of whom it is, and what it is for."""

FOR_GOOD = "for good"


@dataclass(frozen=True)
class Place:
    """A column that holds something of a person. `table` is schema.table, or a place outside the database;
    `column` is empty where the whole is meant."""

    table: str
    column: str
    of: str
    what: str
    purpose: str
    kept: str


_STAFF = "Who decides over calls answers for it."
_OTHERS = (
    Place(
        "the landing zone",
        "",
        "customer, caller, agent",
        "what was delivered",
        "The source of everything.",
        "as its owner decides; `parc forget --delete-files` alone deletes anything there",
    ),
    Place(
        "the switch",
        "exceptions",
        CALLER,
        "telephone number",
        "A number whose prefix misleads is answered at home.",
        "until 14 later tables were live, with the table that names it; `parc forget` takes it out of all",
    ),
    Place(
        "routing.line_assignment",
        "number",
        CALLER,
        "telephone number",
        "The switch knows numbers alone.",
        "as `raw.line_assignments`",
    ),
    Place(
        "routing.urgent_assignment",
        "number",
        CALLER,
        "telephone number",
        "A number is sent to a zone by hand.",
        "a year after it was replaced or ended",
    ),
    Place(
        "ops.routing_change",
        "row_key",
        CALLER,
        "pseudonym of a number",
        "Which rows a release changed.",
        FOR_GOOD,
    ),
    Place(
        "ops.forgotten",
        "pseudonym",
        "who was forgotten",
        "pseudonym",
        "No load brings the person back.",
        f"{FOR_GOOD}; a copy is `forgotten.json` in the platform's folder",
    ),
    Place(
        "ops.quarantine",
        "row_text",
        "customer, caller, agent",
        "a row that broke a rule, its personal columns masked",
        "Somebody mends the rule or the delivery.",
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
            "ops.routing_request": ("requested_by",),
            "ops.routing_answer": ("answered_by", "answered_by_id"),
            "ops.forgetting": ("requested_by",),
        }.items()
        for column in columns
    ),
)


def places(project: Path) -> list[Place]:
    """All of them, by table."""
    found = [place for feed in FEEDS.values() for place in _of_feed(feed)]
    for kept in retention.declared(project):
        for schema in kept.schemas:
            days = f"{kept.days} days" if kept.days else "until the build is published"
            found += [
                Place(f"{schema}.{kept.model}", column, *_said(column), f"{days}: {kept.reason}")
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
            *_said(column.name, column),
            f"{feed.retention.days} days: {feed.retention.reason}",
        )
        for column in feed.derived_columns
        if column.source in personal | keys
    ]


def _said(column: str, derived: Derived | None = None) -> tuple[str, str, str]:
    """Of whom a column is, what it holds, and what it is for."""
    of, purpose = PURPOSES[column]
    if derived and derived.by is Derivation.PREFIX:
        return of, "beginning of a telephone number", purpose
    return (
        of,
        "pseudonym" if column.endswith("_key") and column != "identity_key" else "beginning of one",
        purpose,
    )
