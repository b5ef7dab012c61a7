"""Writes personal-data.md: which column holds something of a person, why, how long, and who reads it."""

from __future__ import annotations

from typing import Any

import psycopg

from parc.privacy.declared import Place, places
from parc.settings import PROJECT, Settings
from parc.warehouse import connect, logins

PAGE = PROJECT / "docs" / "reference" / "personal-data.md"
OPENING = """# Personal data

Written by `make docs` from the declarations (`plugins/parc/feeds`, the models' meta and
`plugins/parc/privacy/declared.py`) and from the rights in the catalogue. A test compares it with a built
warehouse. Days are business dates, counted back from the feed's newest. Pseudonyms are keyed
([how](../adr/0105-pseudonyms-their-keys-and-forgetting.md)): nobody can find a person by them without both
keys. The owner of the database, `parc` or the login of `PARC_WAREHOUSE_DSN`, reads everything.

`parc forget --customer REF --number N` unlinks one person in all these places; `parc secret rotate` changes
the keys.

| where | column | of whom | what | what for | kept | read by |
|---|---|---|---|---|---|---|
"""


def text(connection: psycopg.Connection[Any]) -> str:
    """The page, in Markdown."""
    found = places(PROJECT / "dbt_project")
    return OPENING + "".join(f"{_line(place, _readers(connection, place))}\n" for place in found)


def _line(place: Place, readers: str) -> str:
    column = f"`{place.column}`" if place.column else ""
    cells = (place.table, column, place.of, place.what, place.purpose, place.kept, readers)
    return f"| {' | '.join(cells)} |"


def _readers(connection: psycopg.Connection[Any], place: Place) -> str:
    if "." not in place.table:
        return "those whom its owner allows"
    [(of_a_directorate,)] = connection.execute(
        "select min(member::regrole::text) from pg_auth_members where roleid = %s::regrole",
        [logins.OF_DIRECTORATES],
    )
    names = [*map(logins.login, logins.ROOMS), "bi_reader", of_a_directorate]
    rows = connection.execute(
        "select name from unnest(%(names)s::text[]) with ordinality as login (name, place) "
        "where has_schema_privilege(name, %(schema)s, 'usage') "
        "and has_column_privilege(name, %(table)s, %(column)s, 'select') order by place",
        {
            "names": names,
            "schema": place.table.partition(".")[0],
            "table": place.table,
            "column": place.column,
        },
    ).fetchall()
    return ", ".join(f"`{name}`" for (name,) in rows) or "nobody else"


if __name__ == "__main__":
    with connect(Settings.from_env(), "admin") as connection:
        PAGE.write_text(text(connection))
