"""How nights went: when each feed came, was published and seen by BI, and against which deadline."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from parc.settings import Settings
from parc.ui import punctuality
from parc.ui.language import ENGLISH
from parc.warehouse import connect

SUNDAY, MONDAY, TUESDAY = (date(2012, 4, 22) + timedelta(days=day) for day in range(3))


def at(day: date, clock: str) -> datetime:
    """That time (UTC) of the day after a business date; Paris is two hours ahead."""
    hours, minutes = map(int, clock.split(":"))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(days=1, hours=hours, minutes=minutes)


def arrived(
    settings: Settings, feed: str, day: date, came: str, build_id: int | None, **columns: str
) -> None:
    """A delivery that was published five minutes after it came, or refused."""
    status = columns.get("status", "published")
    published = None if status == "refused" else at(day, came) + timedelta(minutes=5)
    with connect(settings, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, landed_at, "
            "published_at, built_in) values (%s, %s, %s, '[]', '', %s, %s, %s)",
            [feed, day, status, at(day, came), published, build_id],
        )


def built(settings: Settings, build_id: int, began: datetime) -> None:
    """A build of twenty minutes, and the release that followed half an hour later."""
    seen = began + timedelta(minutes=20)
    day = began.date() - timedelta(days=1)
    with connect(settings, "admin") as connection:
        connection.execute(
            "insert into ops.build (build_id, status, is_full_refresh, started_at, finished_at) "
            "overriding system value values (%s, 'published', false, %s, %s)",
            [build_id, began, seen],
        )
        connection.execute(
            "with release as ("
            "  insert into ops.routing_release (version, kind, fence, business_date, effective_date, "
            "  plan_hash, content_digest, row_counts, rows_changed, calls_moved, approval_reasons, "
            "  requested_by, reason, delivery_ids, input_sha256, code_version) "
            "  values (%s, 'release', 1, %s, %s, '', '', '{}', '{}', '{}', '[]', 'Anne', 'nightly', "
            "  '{}', '{}', '') returning release_id"
            ") insert into ops.routing_release_event (release_id, event, at) "
            "select release_id, 'activated', %s from release",
            [f"v{build_id}", day, day + timedelta(days=1), seen + timedelta(minutes=30)],
        )


def test_nights_are_on_time_late_or_not_over(warehouse: Settings) -> None:
    feeds = ("calls", "boutique_visits", "interventions")
    for feed in feeds:
        arrived(warehouse, feed, SUNDAY, "01:00", 1)
        arrived(warehouse, feed, MONDAY, "03:12" if feed == "calls" else "01:00", 2)
    arrived(warehouse, "calls", MONDAY, "00:30", None, status="refused")
    arrived(warehouse, "calls", TUESDAY, "01:00", None)
    built(warehouse, 1, at(SUNDAY, "02:00"))
    built(warehouse, 2, at(MONDAY, "04:00"))

    now = at(TUESDAY, "03:00")
    with connect(warehouse, "reader") as connection:
        found = punctuality.nights(warehouse, connection, TUESDAY, 3)
    tuesday, monday, sunday = found
    assert [night.verdict(now) for night in found] == ["not over", "late", "on time"]
    assert tuesday.verdict(at(TUESDAY, "04:01")) == "late"

    assert (sunday.loading_seconds, sunday.building_seconds, sunday.releasing_seconds) == (300, 4500, 1800)
    assert sunday.build_ids == [1] and sunday.released_at == at(SUNDAY, "02:50")
    assert sunday.sentence(ENGLISH) == "BI sees it since 04:20 (deadline 06:00)"
    assert monday.sentence(ENGLISH) == (
        "BI sees it since 06:20 (deadline 06:00); calls came 05:12 (due 04:00)"
    )
    assert tuesday.sentence(ENGLISH) == (
        "BI does not see all of it (deadline 06:00); boutique visits has not come (due 04:00); "
        "interventions has not come (due 04:00)"
    )

    with connect(warehouse, "bi_reader") as connection:
        for day, night in ((SUNDAY, sunday), (MONDAY, monday), (TUESDAY, tuesday)):
            seen = connection.execute(
                "select max(seen_at), bool_and(deadline_at = %s), bool_and(is_on_time), bool_or(is_refused), "
                "bool_or(is_backfill) from mart_punctuality where business_date = %s",
                [night.deadline, day],
            ).fetchone()
            on_time = night.seen_at <= night.deadline if night.seen_at else None
            assert seen == (night.seen_at, True, on_time, False, False), day

    this_week, last_week = punctuality.weeks(found, now)
    assert (this_week.monday, this_week.night_count, this_week.late_count) == (MONDAY, 2, 1)
    assert (last_week.monday, last_week.on_time_count, last_week.building) == (date(2012, 4, 16), 1, 4500)
    assert this_week.loading == 300 and this_week.releasing == 1800


def test_what_was_due_before_the_platform_ran_is_history(warehouse: Settings) -> None:
    arrived(warehouse, "calls", MONDAY, "01:00", None)
    with connect(warehouse, "reader") as connection:
        monday, sunday = punctuality.nights(warehouse, connection, MONDAY, 2)
    now = at(MONDAY, "09:00")
    assert (monday.verdict(now), sunday.verdict(now)) == ("late", "loaded afterwards")
    arrived(warehouse, "calls", SUNDAY, "30:00", None, status="refused")
    with connect(warehouse, "bi_reader") as connection:
        found = connection.execute(
            "select business_date, is_refused, is_backfill, is_on_time from mart_punctuality order by 1"
        ).fetchall()
    assert found == [(SUNDAY, True, True, None), (MONDAY, False, False, None)]
