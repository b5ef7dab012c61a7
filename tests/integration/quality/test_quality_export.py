"""The gate before a routing release: valid inputs pass it, and every expectation can fail."""
# ruff: noqa: E501

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from parc import quality
from parc.quality import QualityError, Verdict
from parc.settings import PROJECT, Settings
from parc.warehouse import connect

DAY = date(2012, 4, 24)  # its release takes effect on Wednesday, 25 April
SUITE = json.loads((PROJECT / "expectations" / "export" / "routing.json").read_text())
SEVERITY = {each["meta"]["name"]: each["severity"] for each in SUITE["expectations"]}

TABLES = {
    "marts.routing_services": "dialled_number text, market text",
    "marts.routing_prefixes": "snapshot_date date, prefix text, zone_code text",
    "marts.routing_department_zones": "department_code text, zone_code text, valid_from date, valid_to date",
    "marts.routing_windows": "zone_code text, local_date date, opens_at timestamptz, closes_at timestamptz",
    "marts.routing_routes": "route_code text, market text, band text, priority int, site_code text, weight int",
    "marts.routing_rollout": "zone_code text, market text, planned_go_live_date date, withdrawn_on date",
    "marts.routing_sites": "site_code text, directorate_code text, sip_address text, is_offshore boolean, "
    "valid_from date, valid_to date",
    "marts.routing_freeze_windows": "starts_at timestamptz, ends_at timestamptz, reason text",
}
# Pays de la Loire (52) is live, Bretagne (53) goes live on the day, Haute-Normandie (23) in two weeks.
INPUTS = """
insert into marts.routing_services values ('3900', 'internet'), ('3901', 'fixe');
insert into marts.routing_department_zones
values ('35', '53', '1990-01-01', null), ('44', '52', '1990-01-01', null), ('76', '23', '1990-01-01', null);
insert into marts.routing_rollout
select zone, market, day::date, null
from (values ('52', '2012-03-01'), ('53', '2012-04-25'), ('23', '2012-05-07'), ('22', '2012-09-11'),
    ('31', '2012-10-09')) as planned (zone, day), unnest(array['fixe', 'internet']) as market;
insert into marts.routing_routes
select route, '*', band, priority, site, weight
from (values ('52', 'NANTES', 'ST_NAZAIRE'), ('53', 'RENNES', 'BREST'), ('23', 'ROUEN', 'CAEN'),
    ('national', 'LYON', 'LILLE')) as named (route, one, other)
cross join lateral (values ('open', 1, one, 60), ('open', 1, other, 40), ('open', 2, 'TUNIS', 100),
    ('closed', 1, 'TUNIS', 100)) as stop (band, priority, site, weight);
insert into marts.routing_sites
select site, directorate, 'sip:' || lower(site) || '@127.0.0.1', site = 'TUNIS', '1990-01-01', null
from (values ('NANTES', 'OUEST'), ('ST_NAZAIRE', 'OUEST'), ('RENNES', 'OUEST'), ('BREST', 'OUEST'),
    ('ROUEN', 'NORMANDIE_CENTRE'), ('CAEN', 'NORMANDIE_CENTRE'), ('LYON', 'CENTRE_EST'), ('LILLE', 'NORD'),
    ('TUNIS', null)) as named (site, directorate);
insert into marts.routing_windows
select zone, day::date, (day + time '08:00') at time zone 'Europe/Paris', (day + time '20:00') at time zone 'Europe/Paris'
from unnest(array['*', '52', '53', '23']) as zone,
    generate_series(timestamp '2012-04-01', timestamp '2012-08-31', interval '1 day') as day
where extract(isodow from day) < 7;
insert into marts.routing_prefixes
select snapshot::date, '02' || 1000 + block, (array['52', '53', '23'])[1 + block % 3]
from unnest(array['2012-03-01', '2012-04-01', '2012-05-01']) as snapshot, generate_series(1, 300) as block;
insert into marts.routing_prefixes values ('0001-01-01', '0299', '53');
insert into marts.routing_freeze_windows values ('2012-12-21Z', '2013-01-02Z', 'year end');
"""
LEDGER = """
insert into ops.build (build_id, status, is_full_refresh) overriding system value values (1, 'published', false);
insert into marts.published_build (build_id, published_at) values (1, '2012-04-25 02:00Z');
insert into ops.delivery (feed, business_date, status, files, content_sha256, rows_read, rows_published, built_in)
values ('numbering_plan', '2012-03-01', 'published', '[]', 'a', 300, 300, 1),
    ('numbering_plan', '2012-04-01', 'published', '[]', 'b', 300, 300, 1),
    ('numbering_plan', '2012-05-01', 'published', '[]', 'c', 300, 300, null),
    ('line_assignments', '2012-04-16', 'published', '[]', 'd', 200, 200, 1),
    ('line_assignments', '2012-04-23', 'published', '[]', 'e', 200, 200, 1);
insert into ops.routing_release (
    version, kind, fence, business_date, effective_date, plan_hash, content_digest, row_counts, rows_changed,
    calls_moved, approval_reasons, requested_by, reason, delivery_ids, input_sha256, code_version, rollout
)
select 'V' || count, 'release', count, '2012-04-23', '2012-04-24', 'h', 'd', '{}', '{}', '[]', '[]', 'night', 'test', '{}', '{}', '1',
    (select jsonb_agg(rollout) from marts.routing_rollout as rollout)
from (select count(*) from ops.routing_release) as before;
insert into ops.routing_release_event (release_id, event) select max(release_id), 'activated' from ops.routing_release;
"""
NUMBERS = """
insert into routing.line_assignment (number, department_code, reason, valid_from, valid_to)
select '+332990' || 10000 + number, (array['35', '44'])[1 + number % 2], 'ported', '2012-04-16', null
from generate_series(1, 200) as number
"""
REPLANNED = (
    "update marts.routing_rollout set planned_go_live_date = planned_go_live_date + 7 where zone_code in "
)

# What makes just the one expectation fail; those that then fail too are in ALSO.
BREAKS = {
    "deliveries_built": "update ops.delivery set built_in = null where business_date = '2012-04-23'",
    "seeds_built": "update ops.seed_version set sha256 = 'other' where seed in ('sites', 'rollout_plan')",
    "one_build": "insert into ops.build (build_id, status, is_full_refresh) overriding system value "
    "values (2, 'published', false); update marts.published_build set build_id = 2",
    "plan_not_ancient": "update marts.routing_rollout set planned_go_live_date = '0212-04-25' "
    "where zone_code = '53' and market = 'fixe'",
    "plan_not_remote": "update marts.routing_rollout set planned_go_live_date = '2102-09-11' "
    "where zone_code = '22' and market = 'fixe'",
    "withdrawn_after_go_live": "update marts.routing_rollout set withdrawn_on = '2012-09-01' "
    "where zone_code = '22' and market = 'fixe'",
    "live_stays_planned": "update marts.routing_rollout set planned_go_live_date = '2012-05-29' "
    "where zone_code = '52' and market = 'fixe'",
    "plan_rewritten": f"{REPLANNED} ('53', '22', '31')",
    "plan_steady": f"{REPLANNED} ('22', '31')",
    "plan_complete": "insert into marts.routing_department_zones values ('59', '21', '1990-01-01', null); "
    "insert into marts.routing_windows select '21', local_date, opens_at, closes_at "
    "from marts.routing_windows where zone_code = '53'",
    "markets_served": "insert into marts.routing_services values ('3902', 'open'); "
    "insert into marts.routing_rollout select zone_code, 'mobile', '2012-12-11', null from marts.routing_rollout "
    "where market = 'fixe'",
    "go_lives_on_open_days": "update marts.routing_rollout set planned_go_live_date = '2012-05-06' "
    "where zone_code = '23' and market = 'fixe'",
    "go_lives_outside_freezes": "insert into marts.routing_freeze_windows values "
    "('2012-09-10Z', '2012-09-12Z', 'maintenance')",
    "go_lives_prepared": "update marts.routing_sites set valid_from = '2012-06-01' "
    "where site_code in ('ROUEN', 'CAEN')",
    "routes_keep_their_sites": "update marts.routing_sites set valid_to = '2012-04-25' where site_code = 'NANTES'",
    "routes_lead_to_open_sites": "update marts.routing_sites set valid_to = '2012-04-25' "
    "where site_code = 'ST_NAZAIRE'",
    "own_sites_first": "update marts.routing_routes set site_code = 'LYON' where site_code = 'NANTES'",
    "own_sites_alone": "update marts.routing_routes set site_code = 'LYON' where site_code = 'ST_NAZAIRE'",
    "nearshore_first": "update marts.routing_sites set is_offshore = true where site_code = 'LILLE'",
    "routes_have_a_second_site": "delete from marts.routing_routes where route_code = '53' and band = 'open' "
    "and site_code <> 'RENNES'; update marts.routing_routes set weight = 100 "
    "where route_code = '53' and site_code = 'RENNES'",
    "addresses_differ": "update marts.routing_sites set sip_address = 'sip:rennes@127.0.0.1' "
    "where site_code = 'BREST'",
    "weights_whole": "update marts.routing_routes set weight = 30 where site_code = 'BREST'",
    "numbering_known": "delete from ops.delivery where feed = 'numbering_plan'; "
    "delete from marts.routing_prefixes where snapshot_date > '0001-01-01'; "
    "insert into marts.routing_prefixes values ('0001-01-01', '0240', '52')",
    "numbering_due": "update ops.delivery set business_date = '2012-03-25' where content_sha256 = 'b'",
    "numbering_not_stale": "delete from ops.delivery where feed = 'numbering_plan' and content_sha256 <> 'a'; "
    "update ops.delivery set business_date = '2011-12-30' where content_sha256 = 'a'",
    "numbering_whole": "update ops.delivery set rows_read = 239, rows_published = 239 where content_sha256 = 'b'",
    "numbering_steady": "update ops.delivery set rows_read = 284, rows_published = 284 where content_sha256 = 'b'",
    "prefixes_mostly_zoned": "update marts.routing_prefixes set zone_code = '*' where right(prefix, 1) in ('1', '2', '3')",
    "prefixes_zoned": "update marts.routing_prefixes set zone_code = '*' where right(prefix, 1) = '1'",
    "prefixes_stay_mostly": "update marts.routing_prefixes set zone_code = '52' "
    "where snapshot_date = '2012-04-01' and zone_code = '53' and prefix <> '021001'",
    "prefixes_stay": "update marts.routing_prefixes set zone_code = '52' "
    "where snapshot_date = '2012-04-01' and zone_code = '53' and right(prefix, 1) = '1'",
    "live_zones_have_prefixes": "update marts.routing_prefixes set zone_code = '52' "
    "where snapshot_date > '0001-01-01' and zone_code = '53'",
    "assignments_due": "update ops.delivery set business_date = '2012-04-20' where content_sha256 = 'e'",
    "assignments_not_stale": "delete from ops.delivery where content_sha256 = 'd'; "
    "update ops.delivery set business_date = '2012-03-25' where content_sha256 = 'e'",
    "assignments_whole": "update routing.line_assignment set valid_to = '2012-04-23' where number < '+33299010042'",
    "assignments_steady": "update routing.line_assignment set valid_to = '2012-04-23' where number < '+33299010022'",
    "departments_mostly_known": "update routing.line_assignment set department_code = '99' "
    "where number < '+33299010022'",
    "departments_known": "update routing.line_assignment set department_code = '99' where number < '+33299010004'",
    "numbers_french": "update routing.line_assignment set number = '+44' || right(number, 9) "
    "where number < '+33299010012'",
    "windows_within_a_day": "update marts.routing_windows set closes_at = closes_at + interval '1 day' "
    "where zone_code = '53' and local_date = '2012-05-05'",
    "weekdays_mostly_open": "delete from marts.routing_windows where zone_code = '23' "
    "and extract(isodow from local_date) in (2, 3, 4)",
    "weekdays_open": "delete from marts.routing_windows where zone_code = '23' and extract(isodow from local_date) = 3",
    "hours_enough": "update marts.routing_windows set closes_at = opens_at + interval '3 h' where zone_code = '23'",
    "freezes_whole": "insert into marts.routing_freeze_windows values ('2012-06-02Z', '2012-06-01Z', 'reversed')",
    "freezes_short": "insert into marts.routing_freeze_windows values ('2014-01-01Z', '2014-12-31Z', 'a year')",
}
# These read the project's seeds.
SEEDS = {"waves_coherent", "samples_replaced"}
ALSO = {
    "plan_rewritten": {"plan_steady"},
    "routes_keep_their_sites": {"routes_lead_to_open_sites"},
    "own_sites_first": {"own_sites_alone"},
    "numbering_not_stale": {"numbering_due"},
    "numbering_whole": {"numbering_steady"},
    "prefixes_mostly_zoned": {"prefixes_zoned"},
    "prefixes_stay_mostly": {"prefixes_stay"},
    "assignments_not_stale": {"assignments_due"},
    "assignments_whole": {"assignments_steady"},
    "departments_mostly_known": {"departments_known"},
    "weekdays_mostly_open": {"weekdays_open"},
}


@pytest.fixture(scope="module")
def tables(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = replace(module_warehouse, home=tmp_path_factory.mktemp("home"))
    (settings.home / "secrets").symlink_to(module_warehouse.home / "secrets")
    with connect(settings, "transformer") as connection:
        for name, columns in TABLES.items():
            connection.execute(f"create table {name} ({columns})".encode())
    return settings


@pytest.fixture
def inputs(tables: Settings) -> Iterator[Settings]:
    """Valid inputs, newly filled."""
    names = [*TABLES, "marts.published_build", "routing.line_assignment", "ops.seed_version", "ops.delivery"]
    with connect(tables, "admin") as connection:
        connection.execute(f"truncate {', '.join(names)}, ops.build cascade".encode())
        for statements in (INPUTS, LEDGER, NUMBERS):
            connection.execute(statements.encode())
        for seed in SUITE["meta"]["seeds"]:
            text = (PROJECT / "dbt_project" / "seeds" / f"{seed}.csv").read_text()
            digest = hashlib.sha256(text.encode()).hexdigest()
            connection.execute(
                "insert into ops.seed_version (seed, sha256, build_id) values (%s, %s, 1)", [seed, digest]
            )
    yield tables


def judge(settings: Settings) -> Verdict:
    return quality.check_export(settings, "routing", DAY, build_id=1)


def found(verdict: Verdict) -> set[str]:
    return {finding.expectation for finding in (*verdict.failures, *verdict.warnings)}


def change(settings: Settings, statement: str) -> None:
    with connect(settings, "admin") as connection:
        connection.execute(statement.encode())


def test_sound_inputs_pass_and_every_expectation_is_judged(inputs: Settings) -> None:
    verdict = judge(inputs)
    assert (found(verdict), verdict.not_evaluated) == (set(), [])
    assert verdict.outcome == "passed" and verdict.suite == "export/routing"
    assert verdict.page and re.match(r"export/routing/routing_2012-04-25/\w+\.html$", verdict.page)
    assert (quality.data_docs(inputs) / verdict.page).exists()
    assert verdict == replace(quality.check(inputs, "export/routing", DAY), page=verdict.page)


def test_every_expectation_is_shown_to_fail() -> None:
    assert set(BREAKS) | SEEDS == set(SEVERITY)


@pytest.mark.parametrize("name", BREAKS)
def test_inputs_that_break_one_expectation_are_reported_for_it_alone(inputs: Settings, name: str) -> None:
    change(inputs, BREAKS[name])
    verdict = judge(inputs)
    assert found(verdict) == {name} | ALSO.get(name, set())
    refuses = SEVERITY[name] == "critical"
    assert verdict.passed is not refuses
    (finding,) = (each for each in (*verdict.failures, *verdict.warnings) if each.expectation == name)
    assert finding.message.startswith("routing 2012-04-25: ")
    assert finding.message.endswith(f"(expectation {name}, owner {finding.owner})")
    assert "{" not in finding.message and "None" not in finding.message


@pytest.fixture
def project(inputs: Settings, tmp_path: Path) -> Settings:
    """A project whose seeds may differ."""
    project = tmp_path / "project"
    (project / "dbt_project" / "seeds").mkdir(parents=True)
    for path in (PROJECT / "dbt_project" / "seeds").glob("*.csv"):
        (project / "dbt_project" / "seeds" / path.name).write_text(path.read_text())
    (project / "expectations").symlink_to(PROJECT / "expectations")
    return replace(inputs, project=project)


def alter(settings: Settings, seed: str, old: str, new: str) -> None:
    path = settings.project / "dbt_project" / "seeds" / f"{seed}.csv"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_wave_on_two_days_or_before_its_turn_is_reported(project: Settings) -> None:
    alter(project, "rollout_plan", "26,fixe,4,2012-09-11", "26,fixe,4,2012-06-05")
    verdict = judge(project)
    assert found(verdict) == {"seeds_built", "waves_coherent"}
    assert (
        "the rollout plan has wave 4 before wave 3 (fixe), wave 4 from 2012-06-05 to 2012-09-11"
        in verdict.warnings[0].message
    )
    assert "rollout_plan in git differs from what the published build used" in verdict.failures[0].message


def test_a_sample_site_among_real_ones_is_reported(project: Settings) -> None:
    alter(project, "sites", "5101,false,1990-01-01,,true", "5101,false,1990-01-01,,false")
    verdict = judge(project)
    assert found(verdict) == {"seeds_built", "samples_replaced"}
    assert ": BREST, LILLE, LYON, NANTES, ST_NAZAIRE, TUNIS;" in verdict.warnings[0].message


@pytest.mark.parametrize(
    ("status", "words"),
    [("failed", "the last build, 2, failed"), ("running", "the last build, 2, is running")],
)
def test_unchecked_inputs_are_named_with_the_result_of_the_last_build(
    inputs: Settings, status: str, words: str
) -> None:
    change(
        inputs,
        f"{BREAKS['deliveries_built']}; insert into ops.build (build_id, status, is_full_refresh) "
        f"overriding system value values (2, '{status}', false)",
    )
    (failure,) = judge(inputs).failures
    assert re.search(
        rf"line_assignments 2012-04-23 \(delivery \d+\) is in force .*\({words}\)", failure.message
    )


def test_a_future_snapshot_may_be_unbuilt(inputs: Settings) -> None:
    """That of 1 May is published and not built; it governs from the release of 30 April on."""
    assert "deliveries_built" not in found(quality.check(inputs, "export/routing", date(2012, 4, 29)))
    assert "deliveries_built" in found(quality.check(inputs, "export/routing", date(2012, 4, 30)))


def test_the_plan_is_compared_with_the_live_release(inputs: Settings) -> None:
    """After an emergency it is unknown which plan made the switch's table."""
    change(inputs, BREAKS["plan_rewritten"])
    assert "plan_rewritten" in found(judge(inputs))
    change(
        inputs,
        """
        insert into ops.routing_release (
            version, kind, fence, plan_hash, content_digest, row_counts, rows_changed, calls_moved,
            approval_reasons, requested_by, reason, delivery_ids, input_sha256, code_version
        ) values ('E', 'emergency', 2, 'h', 'd', '{}', '{}', '[]', '[]', 'Paul', 'test', '{}', '{}', '1');
        insert into ops.routing_release_event (release_id, event)
        select release_id, 'activated' from ops.routing_release where version = 'E'
        """,
    )
    verdict = judge(inputs)
    assert found(verdict) == set()
    assert {"plan_rewritten", "plan_steady"} == set(verdict.not_evaluated)


def test_shares_are_not_judged_on_a_handful_of_rows(inputs: Settings) -> None:
    change(
        inputs,
        "delete from routing.line_assignment where number > '+33299010010'; "
        "update routing.line_assignment set department_code = '99'; "
        "delete from marts.routing_prefixes where right(prefix, 2) > '20'; "
        "update marts.routing_prefixes set zone_code = '*' where right(prefix, 1) = '1'",
    )
    assert found(judge(inputs)) == set()


def test_a_gate_that_cannot_be_evaluated_is_an_error(inputs: Settings, tmp_path: Path) -> None:
    with pytest.raises(QualityError, match=r"expectations/export/routing.json cannot be read"):
        judge(replace(inputs, project=tmp_path))
    change(inputs, "alter table marts.routing_freeze_windows rename to aside")
    try:
        with pytest.raises(
            QualityError, match=r"routing/\w+.sql cannot measure routing 2012-04-25: relation"
        ):
            judge(inputs)
    finally:
        change(inputs, "alter table marts.aside rename to routing_freeze_windows")
