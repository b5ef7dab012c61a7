"""Writes rights.md, who may do what in the warehouse, from the catalogue of one that is built."""

from __future__ import annotations

from typing import Any

import psycopg

from parc.settings import PROJECT, Settings
from parc.warehouse import connect, logins

PAGE = PROJECT / "docs" / "reference" / "rights.md"
RIGHTS = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
OPENING = """# Who may do what in the warehouse

Written by `make docs` from the catalogue of a warehouse that is up to date and built. A test compares it with
the live catalogue, also after a full refresh. Rights are effective ones: those that come with ownership or
another role are included. What is not named here, only the owner of the database has (`parc`, or the login of
`PARC_WAREHOUSE_DSN`), who alone changes schemas.
[Why logins of their own](../adr/0001-a-login-for-each-room.md).
"""

CLOSING = """
## Who read what

Nothing is recorded unless a superuser says so. Then the server logs each statement of a login, and no session
of the login can undo it.

```sql
alter role bi_reader set log_statement = 'all';          -- of its next sessions; each login by itself
alter system set log_line_prefix = '%m [%p] %u@%d %h ';  -- when, who, in which database, from where
select pg_reload_conf();
```

The embedded server's superuser is `postgres`, with the password `secrets/postgres_password` of `PARC_HOME`.
Its log is `postgres/postgresql.log` there, which nothing shortens. For another server, ask its operator.
`parc_reader` is `parc sql` and the pages.

Statements contain what somebody typed, such as `where caller_key = ...` or a whole number: the log is
personal data, about those who read and those who are read about. Keep it from readers, and no longer than the
audit needs it. Otherwise not even a failing statement is in it, as the platform's servers are set, and others
by `deploy/superuser.sql`. Only the extension `pgaudit` says which tables a statement reads through views.
"""

_LOGINS = """
select
    rolname::text,
    has_database_privilege(rolname, current_database(), 'temporary'),
    rolconnlimit,
    array(select setting from unnest(rolconfig) as setting order by 1),
    array(
        select granted.rolname::text
        from pg_auth_members inner join pg_roles as granted on granted.oid = roleid
        where member = pg_roles.oid order by 1
    )
from pg_roles
where rolname = any (%s)
"""
_SCHEMAS = """
select
    nspname::text, obj_description(pg_namespace.oid), rolname::text,
    has_schema_privilege(rolname, pg_namespace.oid, 'usage'),
    has_schema_privilege(rolname, pg_namespace.oid, 'create')
from pg_namespace
cross join pg_roles
where rolname = any (%s) and nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
order by nspname
"""
_RELATIONS = r"""
with relation as (
    select oid, relname::text as name, relnamespace, relkind = 'S' as is_sequence
    from pg_class
    where relkind in ('r', 'p', 'v', 'S') and not relispartition
        and relname !~ '(__[0-9]{8}_[0-9]+|__dbt_(tmp|backup).*)$'
        and not exists (select from pg_depend where objid = pg_class.oid and relkind = 'S' and deptype = 'i')
),
login as (
    select rolname::text as login from pg_roles where rolname = any (%(names)s)
),
granted as (
    select oid, name, relnamespace, login, what, has_table_privilege(login, oid, what) as is_whole
    from relation
    cross join login
    cross join unnest(%(rights)s::text[]) as what
    where not is_sequence
)
select relnamespace::regnamespace::text, '', 'any', name
from relation
where not is_sequence
union all
select relnamespace::regnamespace::text, login, what, name
from granted
where is_whole
union all
select
    relnamespace::regnamespace::text, login, what,
    format('%%s (%%s)', name, string_agg(attname, ', ' order by attname))
from granted
inner join pg_attribute on attrelid = granted.oid and attnum > 0 and not attisdropped
where not is_whole and what in ('select', 'insert', 'update')
    and has_column_privilege(login, granted.oid, attnum, what)
group by relnamespace, login, what, name
union all
select relnamespace::regnamespace::text, login, 'use', name
from relation
cross join login
where is_sequence and has_sequence_privilege(login, oid, 'usage')
union all
select pronamespace::regnamespace::text, login, 'use', format('%%s()', proname)
from pg_proc
cross join login
where prorettype <> 'trigger'::regtype and has_function_privilege(login, oid, 'execute')
    and pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
"""


def text(connection: psycopg.Connection[Any]) -> str:
    """The page, in Markdown."""
    [(of_a_directorate,)] = connection.execute(
        "select min(member::regrole::text) from pg_auth_members where roleid = %s::regrole",
        [logins.OF_DIRECTORATES],
    )
    names = [*map(logins.login, logins.ROOMS), "bi_reader", of_a_directorate]
    parts = [OPENING, _logins(connection, names)]
    granted: dict[tuple[str, str, str], list[str]] = {}
    for schema, name, what, relation in connection.execute(
        _RELATIONS.encode(), {"rights": list(RIGHTS), "names": names}
    ):
        granted.setdefault((schema, name, what), []).append(relation)
    rows = connection.execute(_SCHEMAS.encode(), [names]).fetchall()
    for schema in dict.fromkeys(row[0] for row in rows):
        every = sorted(granted.get((schema, "", "any"), []))
        comment = next(row[1] for row in rows if row[0] == schema)
        parts.append(f"\n## {schema}\n\n{comment}\n\n| login | " + " | ".join(RIGHTS[:4]) + " | more |\n")
        parts.append("|---" * 6 + "|\n")
        for name in names:
            [(may_use, may_create)] = [row[3:] for row in rows if row[0] == schema and row[2] == name]
            if not may_use:
                continue
            given = {what: sorted(granted.get((schema, name, what), [])) for what in (*RIGHTS, "use")}
            more = [what for what in RIGHTS[4:] if given[what] == every] + given["use"]
            more += ["makes tables"] if may_create else []
            cells = [_shown(given[what], every) for what in RIGHTS[:4]] + [", ".join(more)]
            parts.append(f"| `{name}` | " + " | ".join(cells) + " |\n")
    parts.append(CLOSING)
    return "".join(parts).replace(f"`{of_a_directorate}`", "`bi_<directorate>`")


def _logins(connection: psycopg.Connection[Any], names: list[str]) -> str:
    lines = [
        "| login | temporary tables | connections | of its sessions | has the rights of |",
        "|---|---|---|---|---|",
    ]
    rows = {row[0]: row[1:] for row in connection.execute(_LOGINS.encode(), [names])}
    for name in names:
        may_make_temporary, connections, settings, roles = rows[name]
        cells = [
            f"`{name}`",
            "yes" if may_make_temporary else "no",
            "no limit" if connections == -1 else str(connections),
            ", ".join(f"`{setting}`" for setting in settings),
            ", ".join(f"`{role}`" for role in roles),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    opening = "\nNobody else may connect to the database.\n\n"
    return opening + "\n".join(lines) + "\n"


def _shown(relations: list[str], every: list[str]) -> str:
    return "all" if relations and relations == every else ", ".join(f"`{each}`" for each in relations)


if __name__ == "__main__":
    with connect(Settings.from_env(), "admin") as connection:
        PAGE.write_text(text(connection))
