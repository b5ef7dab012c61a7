"""Builds that failed, and what is not in the marts yet."""

from __future__ import annotations

from typing import Any

import psycopg

from parc.build import failures, seeds
from parc.errors import ParcError
from parc.findings import BUILD, Finding, FindingKind, Severity, Step, Subject
from parc.ledger import builds, deliveries, locks
from parc.ledger.builds import Build
from parc.settings import Settings
from parc.wording import counted, listed

MOST_MESSAGE_CHARACTERS = 200
REPEATED_DAYS = 35
REPEATED_SHARE, REPEATED_WRONG_SHARE = 0.05, 0.5
"""Shares of a date's rows that count in no figure: reported from the first on, wrong from the second."""


def findings(settings: Settings, connection: psycopg.Connection[Any]) -> list[Finding]:
    """The last build where it failed, else what is published or changed in git and not built."""
    waiting = deliveries.not_built(connection)
    last = builds.last(connection)
    is_running = locks.is_held(connection, locks.BUILD)
    found = _seeds(settings, connection)
    if last and not is_running and last.status != "published":
        broken = [each for each in found if BUILD not in each.steps[:1]]
        return [*broken, _failed(connection, last, waiting_count=len(waiting))]
    if waiting:
        names = listed([f"{each.feed} {each.business_date}" for each in waiting])
        text = f"published and not in the marts yet: {names}" + ("; a build is running" if is_running else "")
        subject = counted(len(waiting), "delivery", "deliveries")
        severity = Severity.NOTE if is_running else Severity.WRONG
        steps = () if is_running else (BUILD,)
        found.append(Finding(FindingKind.NOT_BUILT, severity, Subject(subject), text, steps))
    return found + _repeated(connection)


def _failed(connection: psycopg.Connection[Any], build: Build, *, waiting_count: int) -> Finding:
    waits = ""
    if waiting_count:
        waits = f"; {counted(waiting_count, 'published delivery waits', 'published deliveries wait')} for it"
    if build.status != "failed":
        text = f"its process ended before it did{waits}"
        return _of_build(build.build_id, text, failures.remedy(build.status, []))
    nodes = [node for node in builds.nodes(connection, build.build_id) if node.has_failed]
    if nodes:
        words = nodes[0].message or nodes[0].status
        message = " ".join(words.split())[:MOST_MESSAGE_CHARACTERS]
        text = f"{listed([node.node for node in nodes])} failed ({message})"
    else:
        text = " ".join((build.reason or "").split())
    return _of_build(build.build_id, text + waits, failures.remedy(build.status, nodes, build.failed_by))


def _of_build(build_id: int, text: str, steps: tuple[Step, ...]) -> Finding:
    return Finding(FindingKind.BUILD_FAILED, Severity.WRONG, Subject.build(build_id), text, steps)


def _repeated(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Published dates of the last weeks that the marts show little of: earlier dates already had their ids.

    A suite judges a delivery by what was there when it arrived; a build also knows what arrived since.
    """
    known = connection.execute("select to_regclass('marts.mart_feed_health') is not null").fetchone()
    if not (known and known[0]):
        return []
    # As JSON: a mart that was published by an earlier version may not have the column.
    rows = connection.execute(
        "select feed, business_date, repeated, rows_published "
        "from marts.mart_feed_health as health "
        "cross join lateral (select (to_jsonb(health) ->> 'rows_repeated')::bigint as repeated) as counted "
        "where repeated >= greatest(1, %s * rows_published) and business_date > "
        "(select max(business_date) from marts.mart_feed_health where status = 'published') - %s "
        "order by business_date, feed",
        [REPEATED_SHARE, REPEATED_DAYS],
    ).fetchall()
    if not rows:
        return []
    names = listed(
        [f"{feed} {day} ({repeated:,} of {counted(of, 'row')})" for feed, day, repeated, of in rows]
    )
    text = f"rows whose ids an earlier date already had count in no figure: {names}"
    is_wrong = any(repeated >= REPEATED_WRONG_SHARE * of for _, _, repeated, of in rows)
    return [
        Finding(
            FindingKind.REPEATED_IDS,
            Severity.WRONG if is_wrong else Severity.NOTE,
            Subject(counted(len(rows), "delivery", "deliveries")),
            text,
            (Step("ask for new ids"),),
        )
    ]


def _seeds(settings: Settings, connection: psycopg.Connection[Any]) -> list[Finding]:
    """Seeds that are not sound, or whose content in git is not that of the published marts."""
    before = {name: seed.sha256 for name, seed in builds.seeds(connection).items()}
    try:
        now = seeds.read(settings.project / "dbt_project" / "seeds")
    except ParcError as error:
        return [Finding(FindingKind.SEEDS, Severity.WRONG, Subject("seeds"), error.text, error.steps)]
    changed = sorted(name for name, seed in now.items() if before.get(name) != seed.sha256)
    changed += sorted(before.keys() - now.keys())
    if not before or not changed:
        return []
    text = f"{listed(changed)} changed since the last build"
    subject = Subject(counted(len(changed), "seed"))
    return [Finding(FindingKind.SEEDS, Severity.WRONG, subject, text, (BUILD,))]
