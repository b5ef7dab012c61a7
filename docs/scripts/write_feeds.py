"""Writes feeds.md, the reference of everything that may be delivered, from the feeds' declarations."""

from __future__ import annotations

import csv

from parc.feeds import FEEDS, LONGEST_VALUE, Column, Derived, Feed
from parc.loading.casts import EXPECTED
from parc.settings import PROJECT

PAGE = PROJECT / "docs" / "reference" / "feeds.md"
CALENDAR = PROJECT / "dbt_project" / "seeds" / "feed_calendar.csv"
OPENING = f"""# The feeds

Written by `make docs` from `plugins/parc/feeds/`, where each feed is declared once. The reader, the table,
the row rules and this page follow from the declaration.

- A row that breaks a rule goes to quarantine, and so does one with a text of more than {LONGEST_VALUE}
  characters.
- A delivery is refused as a whole when more rows than the limit break a rule, or when a column is missing,
  unknown or renamed.
- The seed `feed_calendar` says when each feed is due. What must hold of a delivery as a whole is in
  `expectations/`.
- White space around a value is ignored. In a column that may be empty, and in references to persons, `NULL`,
  `\\N`, `N/A`, `-` and the like are read as empty, with a warning.
- Instants may be in any form of ISO 8601 with an offset, whole numbers also as `3.0`, departments also as
  `2a`, `1`, `035`, `FR-35`.
- A telephone number in a column of text, however spelled, is masked, with a warning. In a key it rejects the
  row, unless it is digits alone and at least half of the delivery's keys look like that.

Derived columns are in italics.
"""


def text() -> str:
    """The page, in Markdown."""
    with CALENDAR.open(newline="") as stream:
        due = {
            row["feed"]: f"{row['cadence']}, {row['due_time_local']} Paris" for row in csv.DictReader(stream)
        }
    return "".join([OPENING, *(_feed(feed, due[name]) for name, feed in FEEDS.items())])


def _feed(feed: Feed, due: str) -> str:
    kept = f"{feed.retention.days} days" if feed.retention.days else "for good"
    lines = [
        f"\n## {feed.name}\n",
        f"{feed.grain} Due {due}. Kept as {feed.keeping.value}, {kept}: {feed.retention.reason}",
        f"\nKey: {_names(feed.key)}. Limit of bad rows: {100 * feed.reject_limit:g} %.",
    ]
    if feed.dated_by:
        lines.append(f"The local date (Europe/Paris) of `{feed.dated_by}` is the delivery's.")
    lines += [f"In order, where present: {_names(moments)}." for moments in feed.in_order]
    lines += [
        f"Where `{need.column}` is {need.value}, {_names(need.needed)} must have a value."
        for need in feed.needs
    ]
    lines += ["\n| column | type | must be | |", "|---|---|---|---|", *map(_column, feed.columns)]
    return "\n".join(lines) + "\n"


def _column(column: Column | Derived) -> str:
    if isinstance(column, Derived):
        unless = f"; null where {_names(column.unless)} has a value" if column.unless else ""
        origin = f"of `{column.source}`: {column.by.value}{unless}"
        return f"| *{column.name}* | {column.type.sql} | {origin} | {column.description} |"
    demands = [] if column.nullable else ["present"]
    demands += [EXPECTED[column.type]] if column.type in EXPECTED else []
    demands += ["one of " + ", ".join(column.one_of)] if column.one_of else []
    demands += [column.form.words] if column.form else []
    demands += [f"masked unless {column.masked_unless.words}"] if column.masked_unless else []
    demands += ["masked unless one word with six digits at most"] if column.is_code else []
    demands += [f"or listed in the seed `{column.listed_in}`"] if column.listed_in else []
    if column.at_least is not None:
        most = "" if column.at_most is None else f" to {column.at_most}"
        demands.append(f"{column.at_least}{most}" if most else f"at least {column.at_least}")
    if window := column.window:
        demands.append(f"{-window.days_before:,} to +{window.days_after:,} days from the delivery's date")
    demands += ["9999-12-31 = none"] if column.open_ended else []
    demands += [f"present from {column.since} on"] if column.since else []
    demands += [f"present before {column.until}"] if column.until else []
    demands += (
        [f"a {column.personal.value}: never stored in raw, masked where shown"] if column.personal else []
    )
    return f"| `{column.name}` | {column.type.sql} | {'; '.join(demands)} | {column.description} |"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(text())
