"""Failing builds: what they report and record, how the next one resumes them; and how gaps are reported."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from parc import desk
from parc.build import BuildResult, build, changes, failures, resume
from parc.build.dbt import log_file
from parc.errors import BuildFailed, ConfigurationError
from parc.feeds import FEEDS
from parc.findings import FindingKind
from parc.loading import ingest, withdraw
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.marts import marts, restate, rows

MONDAY = date(2012, 4, 23)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=day) for day in (1, 2, 3))
FACTS = ("calls", "boutique_visits", "interventions")
VISITS_TEST = "fct_boutique_visits_has_one_row_per_visit"
GOOD = ("success", "warn")


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two days of all feeds, loaded and built from a project that a test may break; the tests below build on
    each other. The deliveries of two more days are in `upcoming`."""
    project = tmp_path_factory.mktemp("project")
    for name in ("dbt_project", "expectations"):
        shutil.copytree(PROJECT / name, project / name)
    settings = replace(module_warehouse, project=project)
    simulate(MONDAY, THURSDAY, scale=0.003, seed=7, out=str(upcoming(settings)))
    for feed in FEEDS:
        deliver(settings, feed, MONDAY)
    for feed in FACTS:
        deliver(settings, feed, TUESDAY)
    build(settings)
    yield settings


def upcoming(settings: Settings) -> Path:
    return Path(settings.landing).parent / "coming"


def deliver(settings: Settings, feed: str, day: date, status: str = "published") -> None:
    """Let the day's delivery arrive, if there is one, and load it."""
    source = upcoming(settings) / feed / f"date={day}"
    if source.exists():
        shutil.copytree(source, Path(settings.landing) / feed / f"date={day}", dirs_exist_ok=True)
    assert ingest(settings, feed, day).status == status


@contextmanager
def edited(settings: Settings, name: str, sound: str, wrong: str) -> Iterator[None]:
    """Change a file of the dbt project, and restore it at the end."""
    [path] = (settings.project / "dbt_project").rglob(name)
    text = path.read_text()
    assert text.count(sound) == 1
    path.write_text(text.replace(sound, wrong))
    try:
        yield
    finally:
        path.write_text(text)


def without_directorates(settings: Settings) -> Any:
    """The daily sums of calls divide by zero."""
    return edited(
        settings,
        "agg_calls_daily.sql",
        "home_directorate_code as directorate_code",
        "home_directorate_code || 1 / (random() * 0)::integer as directorate_code",
    )


def visits_that_break_their_test(settings: Settings) -> Any:
    """Simulate one surplus row in each."""
    return edited(settings, f"{VISITS_TEST}.sql", "having count(*) > 1", "having count(*) > 0")


def nodes(settings: Settings, build_id: int | None = None) -> dict[str, dict[str, Any]]:
    """The ledger's nodes of a build, by default the last one."""
    found = rows(
        settings,
        "select node, to_jsonb(build_node) from ops.build_node where build_id = "
        f"{build_id or '(select max(build_id) from ops.build)'} order by position",
    )
    return dict(found)


def last_build(settings: Settings) -> dict[str, Any]:
    [(found,)] = rows(settings, "select to_jsonb(b) from ops.build as b order by build_id desc limit 1")
    return found


def fail(settings: Settings, *, full_refresh: bool = False) -> str:
    """Run a build that fails; what it says happened."""
    with pytest.raises(BuildFailed) as failure:
        build(settings, full_refresh=full_refresh)
    return failure.value.text


def test_a_failed_build_names_failing_rows_and_the_build_that_bi_sees(built: Settings) -> None:
    before = marts(built)
    for feed in FACTS:
        deliver(built, feed, WEDNESDAY)
    broken_sums = edited(
        built, "agg_interventions_daily.sql", "requested_date as business_date,", "missing_column,"
    )
    another_column = edited(
        built, "agg_calls_after_jobs_daily.sql", "select * from final", "select *, 1 as surplus from final"
    )
    with without_directorates(built), broken_sums, visits_that_break_their_test(built), another_column:
        message = fail(built)
    assert marts(built) == before
    [(seen,)] = rows(built, "select build_id from marts.published_build")
    row = last_build(built)
    assert (row["status"], row["reason"], row["resumed_build_id"]) == ("failed", message, None)

    recorded = nodes(built)
    failed = {name for name, node in recorded.items() if node["status"] not in (*GOOD, "skipped")}
    assert failed == {
        "agg_calls_daily",
        "agg_interventions_daily",
        "agg_calls_after_jobs_daily",
        VISITS_TEST,
    }
    skipped = {name for name, node in recorded.items() if node["status"] == "skipped"}
    assert {"mart_service_quality_daily", "mart_boutiques_daily"} <= skipped
    assert f"BI still sees build {seen}" in message
    assert f"4 of {len(recorded)} nodes failed, {len(skipped)} were skipped" in message
    reported = {part.split(":")[0]: part for part in message.split("\n\n")}
    assert "division by zero" in reported["model agg_calls_daily"]
    assert 'column "missing_column" does not exist' in reported["model agg_interventions_daily"]
    of_columns = reported["model agg_calls_after_jobs_daily"]
    assert (
        "the table has other columns than the model (added: surplus; gone: none; of another type: none)"
    ) in of_columns
    assert {name for name, node in recorded.items() if node["is_out_of_step"]} == {
        "agg_calls_after_jobs_daily"
    }
    [finding] = [finding for finding in desk.findings(built) if finding.kind == "build failed"]
    assert finding.steps[-1] == failures.FULL_REFRESH
    assert "may come from" not in of_columns
    sql = Path(reported["model agg_calls_daily"].rsplit("its SQL: ")[1])
    assert "random() * 0" in sql.read_text()
    of_test = reported[f"test {VISITS_TEST}"].splitlines()
    [(visits,)] = rows(
        built, f"select count(*) from build.fct_boutique_visits where business_date = '{WEDNESDAY}'"
    )
    assert f"{visits} rows break it" in of_test[0]
    assert len([line for line in of_test if f"business_date={WEDNESDAY} visit_id=V" in line]) == 5
    assert "checks fct_boutique_visits: Of the dates that this build" in "\n".join(of_test)
    assert "Traceback" not in message and len(message) < 4000


def test_every_node_of_a_failed_build_is_recorded(built: Settings) -> None:
    recorded = nodes(built)
    project = built.project / "dbt_project"
    kinds = {
        kind: {name for name, node in recorded.items() if node["kind"] == kind} for kind in ("model", "test")
    }
    assert kinds["model"] == {path.stem for path in (project / "models").rglob("*.sql")}
    # What a test asserts of each model is recorded of each.
    tests = {name.partition(".")[0] for name in kinds["test"]}
    assert tests == {path.stem for path in (project / "tests").glob("*.sql")}
    assert {"keys_are_unique.dim_site", "keys_are_unique.zones"} <= kinds["test"]
    assert {node["kind"] for node in recorded.values()} == {"model", "test"}
    assert [node["position"] for node in recorded.values()] == list(range(1, len(recorded) + 1))
    calls = recorded["fct_calls"]
    assert (calls["status"], calls["tested"], calls["message"]) == ("success", None, None)
    [(count,)] = rows(built, f"select count(*) from build.fct_calls where business_date = '{WEDNESDAY}'")
    assert calls["row_count"] == count and calls["seconds"] > 0
    test = recorded[VISITS_TEST]
    assert (test["status"], test["tested"]) == ("fail", ["fct_boutique_visits"])
    assert [row["business_date"] for row in test["failing_rows"]] == [str(WEDNESDAY)] * 5
    assert recorded["mart_service_quality_daily"]["message"] == "agg_calls_daily failed"


def test_the_next_builds_resume_and_end_with_the_same_marts(built: Settings) -> None:
    first = last_build(built)["build_id"]
    with edited(built, "mart_service_quality_daily.sql", "select * from final", "select 1 / 0 from final"):
        message = fail(built)
    second = last_build(built)
    assert (second["resumed_build_id"], second["status"]) == (first, "failed")
    assert "mart_service_quality_daily" in message and "agg_calls_daily" not in message
    assert nodes(built)["agg_calls_daily"]["status"] == "success"
    assert nodes(built)["agg_interventions_daily"]["status"] == "success"
    assert nodes(built)[VISITS_TEST]["status"] == "success"
    untouched = {"int_call_roots", "fct_calls", "fct_interventions", "int_intervention_jobs", "dim_site"}
    assert not untouched & nodes(built).keys()

    result = build(built)
    assert result.resumed_build_id == second["build_id"]
    assert f"resumed failed build {second['build_id']}" in result.message
    done = nodes(built)
    assert done["mart_service_quality_daily"]["status"] == "success"
    assert not (untouched | {"agg_calls_daily", "agg_interventions_daily"}) & done.keys()
    good = set.union(
        *(
            {name for name, node in nodes(built, each).items() if node["status"] in GOOD}
            for each in (first, second["build_id"], result.build_id)
        )
    )
    assert good == nodes(built, first).keys()
    resumed = marts(built)
    assert build(built, full_refresh=True).resumed_build_id is None
    assert marts(built) == resumed


@pytest.mark.usefixtures("as_deployed")
def test_a_build_that_is_stopped_is_abandoned_with_its_dbt(built: Settings) -> None:
    """As Airflow does when a task takes too long: raise an exception in the middle of its work."""

    class TooLong(BaseException):
        pass

    def stop(what: str, done: int, total: int) -> None:
        raise TooLong

    deliver(built, "calls", THURSDAY)
    with pytest.raises(TooLong):
        build(built, progress=stop)
    assert (last_build(built)["status"], nodes(built)) == ("abandoned", {})
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert [command for command in commands if "dbt_process" in command] == []


def test_a_full_disk_is_not_a_fault_of_data_or_models(built: Settings) -> None:
    def fill(what: str, done: int, total: int) -> None:
        with connect(built, "admin") as connection:
            connection.execute("do $$ begin raise 'No space left on device' using errcode = '53100'; end $$")

    with pytest.raises(ConfigurationError, match=r"build \d+ did not end: disk full \(No space left") as stop:
        build(built, progress=fill)
    assert last_build(built)["status"] == "failed"
    room = ["parc maintain --dry-run", "", "parc build"]
    assert [step.command for step in stop.value.steps] == room
    [finding] = [each for each in desk.findings(built) if each.kind is FindingKind.BUILD_FAILED]
    assert [step.command for step in finding.steps] == room


def test_a_build_that_loses_the_warehouse_ends_at_once(built: Settings) -> None:
    """Without its connection it has no lock either, so another build may start."""

    def lose(what: str, done: int, total: int) -> None:
        with connect(built, "admin") as connection:
            connection.execute("select pg_terminate_backend(pid) from ops.lock where pid is not null")

    with pytest.raises(ConfigurationError, match=r"build \d+ did not end: connection lost \(") as stop:
        build(built, progress=lose)
    assert [step.command for step in stop.value.steps] == ["parc doctor", "parc build"]
    assert last_build(built)["status"] == "running"


def test_only_unchanged_inputs_of_a_failed_build_are_resumed(built: Settings, tmp_path: Path) -> None:
    with without_directorates(built):
        fail(built)
    assert last_build(built)["resumed_build_id"] is None, "the build before it was killed"

    def resumable(statement: str = "select 1", settings: Settings = built) -> int | None:
        with connect(settings, "admin") as connection:
            connection.execute(statement.encode())
            found = changes.find(connection, settings.project / "dbt_project")
            entering = resume.inputs(connection, settings, found)
            failed = resume.resumable(connection, settings, found, entering)
            connection.rollback()
        return failed

    failed = last_build(built)["build_id"]
    assert resumable() == failed
    for what, statement in {
        "a delivery is refused": "insert into ops.delivery (feed, business_date, status, files, "
        f"content_sha256) values ('calls', '{THURSDAY}', 'refused', '[]', '')",
        "a delivery is changed by hand": "update ops.delivery set rows_published = rows_published - 1, "
        "rows_read = rows_read - 1 where delivery_id = (select max(delivery_id) from ops.delivery)",
        "a delivery is looked for in vain": "insert into ops.looked_for values ('calls', '2012-05-05')",
        "another build left a date": f"insert into ops.build_date values ({failed - 1}, 'calls', '{MONDAY}')",
        "the schema is changed": "insert into ops.schema_version values ('0999_later.sql', '')",
        "another build was killed": "insert into ops.build (status, is_full_refresh) "
        "values ('abandoned', false)",
        "it was a full refresh": f"update ops.build set is_full_refresh = true where build_id = {failed}",
        "another warehouse": f"update ops.build set started_at = now() where build_id = {failed}",
    }.items():
        assert resumable(statement) is None, what
    for name, sound, wrong in (
        ("changed_dates.sql", "{%- macro", "{# another #}{%- macro"),
        ("dbt_project.yml", "go_live_open_days: 3", "go_live_open_days: 4"),
        ("profiles.yml", "threads: 3", "threads: 1"),
        ("event_calendar.csv", "Storm", "The storm"),
    ):
        [path] = (built.project / "dbt_project").rglob(name)
        text = path.read_text()
        path.write_text(text.replace(sound, wrong, 1) if sound in text else f"{{# another #}}\n{text}")
        assert path.read_text() != text
        assert resumable() is None, name
        path.write_text(text)
    generic = built.project / "dbt_project" / "tests" / "generic" / "positive.sql"
    generic.parent.mkdir()
    generic.write_text("{% test positive(model, column) %}select * from {{ model }}{% endtest %}")
    assert resumable() is None, "a generic test"
    shutil.rmtree(generic.parent)
    assert resumable(settings=replace(built, home=tmp_path)) is None
    assert resumable() == failed


def feed_health(settings: Settings, feed: str, day: date) -> list[tuple]:
    return rows(
        settings,
        "select status, refused_count from marts.mart_feed_health "
        f"where feed = '{feed}' and business_date = '{day}'",
        "bi_reader",
    )


def test_keys_that_are_not_unique_are_reported_model_by_model(built: Settings) -> None:
    """One query checks all of them; each counts as a separate assertion."""
    sites = "{{ ref('sites') }}"
    twice = (
        f"(select * from {sites} union all select * from {sites} where site_code in ('RENNES', 'BREST')) as s"
    )
    with edited(built, "dim_site.sql", sites, twice), edited(built, "routing_sites.sql", sites, twice):
        message = fail(built)
    recorded = nodes(built)
    keys = {name.partition(".")[2]: node for name, node in recorded.items() if name.startswith("keys_")}
    assert len(keys) > 50 and [node["tested"] for node in keys.values()] == [[name] for name in keys]
    wrong = {name: node for name, node in keys.items() if node["status"] != "success"}
    assert {"dim_site", "routing_sites"} <= wrong.keys()  # and marts that take names from dim_site
    for node in (wrong["dim_site"], wrong["routing_sites"]):
        assert (node["status"], node["row_count"]) == ("fail", 2)
        found = sorted(node["failing_rows"], key=lambda row: row["site_code"])
        assert found == [{"site_code": "BREST", "row_count": 2}, {"site_code": "RENNES", "row_count": 2}]
    assert (keys["zones"]["row_count"], keys["zones"]["failing_rows"]) == (0, None)
    reported = {part.split(":")[0]: part for part in message.split("\n\n")}
    of_sites = reported["test keys_are_unique.dim_site"]
    assert "2 rows break it" in of_sites and "site_code=RENNES row_count=2" in of_sites
    assert "it checks dim_site: key (site_code)" in of_sites


def test_a_project_that_cannot_be_read_is_reported_in_dbts_words(built: Settings) -> None:
    with edited(built, "dim_site.sql", "{{ ref('sites') }}", "{{ ref('sight') }}"):
        message = fail(built, full_refresh=True)
    assert message.startswith("dbt build did not finish: ")
    assert "depends on a node named 'sight' which was not found" in message
    assert (last_build(built)["status"], nodes(built)) == ("failed", {})
    assert "sight" in log_file(built).read_text()


@pytest.mark.soak
def test_a_new_delivery_rebuilds_everything_and_reports_gaps(built: Settings) -> None:
    deliver(built, "boutique_visits", THURSDAY)
    shutil.move(upcoming(built) / "interventions" / f"date={THURSDAY}", upcoming(built) / "late")
    deliver(built, "interventions", THURSDAY, "missing")
    result = build(built)
    assert result.resumed_build_id is None
    assert {"stg_calls__legs", "fct_calls", "dim_site"} <= nodes(built).keys()
    gap = {
        "feed": "interventions",
        "business_date": str(THURSDAY),
        "due_at": "2012-04-27T02:00:00+00:00",
        "status": "missing",
    }
    reported(built, result, gap)
    assert (
        "built without interventions 2012-04-26, due 2012-04-27 04:00 Paris: it is built when it arrives"
        in result.message
    )
    assert build(built).build_id is None, "the same gap is reported once"

    folder = Path(built.landing) / "interventions" / f"date={THURSDAY}"
    folder.mkdir(parents=True)
    (folder / "interventions.csv").write_text("job_id,nonsense\n1,2\n")
    deliver(built, "interventions", THURSDAY, "refused")
    result = build(built)
    assert (result.delivery_count, result.date_count) == (0, 0)
    reported(built, result, gap | {"status": "refused"})
    assert feed_health(built, "interventions", THURSDAY) == [("refused", 1)]
    assert build(built).build_id is None, "the same refusal is reported once"


def reported(settings: Settings, result: BuildResult, gap: dict[str, str]) -> None:
    """Check that this is the build's only gap, wherever it is shown."""
    assert result.missing == [gap]
    assert last_build(settings)["missing"] == [gap]
    assert rows(settings, "select missing from marts.published_build", "bi_reader") == [([gap],)]


def spoil(settings: Settings, statement: str) -> list[tuple]:
    """Alter published rows behind the loader's back."""
    with connect(settings, "admin") as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_failed_build_names_the_delivery_the_file_and_the_line(built: Settings) -> None:
    """And continues without these deliveries once they are withdrawn."""
    for feed in FACTS:
        restate(built, WEDNESDAY, 1, feed)
        assert ingest(built, feed, WEDNESDAY).status == "published"
    ids = dict(
        rows(
            built,
            "select feed, delivery_id from ops.delivery "
            f"where status = 'published' and built_in is null and business_date = '{WEDNESDAY}'",
        )
    )
    [(call_id, line)] = spoil(
        built,
        "update raw.calls set queued_at = null where ctid = (select min(ctid) from raw.calls where "
        f"business_date = '{WEDNESDAY}' and outcome = 'answered') and business_date = '{WEDNESDAY}' "
        "returning call_id, line_number",
    )
    spoil(
        built,
        "update raw.boutique_visits set served_at = served_at + interval '290 years' "
        f"where business_date = '{WEDNESDAY}' and served_at is not null returning 1",
    )
    spoil(
        built,
        "delete from raw.interventions where ctid = (select min(ctid) from raw.interventions where "
        f"business_date = '{WEDNESDAY}') and business_date = '{WEDNESDAY}' returning 1",
    )
    reported = {part.split(":")[0]: part for part in fail(built).split("\n\n")}
    of = {feed: f"{feed} {WEDNESDAY}, delivery {ids[feed]}: {feed}.csv.gz" for feed in FACTS}
    for node, error, where in (
        ("model fct_calls", "answered_was_offered", f"found in {of['calls']} line {line}"),
        (
            "model mart_boutiques_daily",
            "numeric field overflow",
            f"may come from {of['boutique_visits']}",
        ),
        ("test states_add_up_to_the_ledger", "", f"may come from {of['interventions']}"),
    ):
        assert error in reported[node] and where in reported[node], reported[node]
    assert f"business_date={WEDNESDAY} call_id={call_id}" in reported["model fct_calls"]
    assert "Failing row contains" not in reported["model fct_calls"]
    [finding] = [finding for finding in desk.findings(built) if finding.kind == "build failed"]
    for delivery_id in ids.values():
        assert f"parc withdraw {delivery_id} --reason TEXT" in finding.command
        withdraw(built, delivery_id, "altered by hand")
    build(built)
    found = rows(built, f"select count(*) from marts.fct_calls where business_date = '{WEDNESDAY}'")
    assert found == [(0,)]
