"""The pages with figures of the marts: on an empty warehouse, with one day, and after a night that failed."""

from __future__ import annotations

import csv
import re
import time
from datetime import date, timedelta
from io import StringIO

import pytest
from fastapi.testclient import TestClient

from parc import routing
from parc.build import build
from parc.errors import BuildFailed
from parc.ledger import plans
from parc.loading import ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.ui import plan_words
from parc.ui.language import LANGUAGES, texts
from parc.warehouse import connect
from support import charts

DAY = date(2012, 4, 25)
EVE = date(2012, 4, 23)
"""Its release has no go-live yet."""
REFERENCES = ("numbering_plan", "line_assignments", "active_lines", "boutiques")
PAGES = ("rollout", "regions/53", "regions/unknown", "directorates/OUEST?step=week&market=fixe")
PHONE = {"width": 390, "height": 844}


pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture(scope="module")
def one_day(module_warehouse: Settings) -> Settings:
    """The day on which Bretagne goes live, published; then a night whose build fails."""
    simulate(DAY, DAY + timedelta(days=1), scale=0.01, seed=7, out=module_warehouse.landing)
    for feed in (*REFERENCES, "calls", "boutique_visits", "interventions"):
        ingest(module_warehouse, feed, DAY)
    build(module_warehouse)
    ingest(module_warehouse, "calls", DAY + timedelta(days=1))
    with connect(module_warehouse, "admin") as connection:
        connection.execute(
            "update ops.delivery set rows_published = rows_published - 1, rows_read = rows_read - 1 "
            "where feed = 'calls' and business_date = %s",
            [DAY + timedelta(days=1)],
        )
    with pytest.raises(BuildFailed):
        build(module_warehouse)
    return module_warehouse


@pytest.fixture(scope="module")
def client(one_day: Settings) -> TestClient:
    return charts.pages_of(one_day)


def rows(client: TestClient, path: str) -> list[dict[str, str]]:
    answer = client.get(f"/parc/{path}")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.text)))


class TestInABrowser:
    """Every chart is drawn, with a mark for each row; nothing is amiss."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_one_day_after_a_failed_night(self, client: TestClient, scheme: str) -> None:
        with charts.tab(client, color_scheme=scheme, viewport=PHONE, locale="fr-FR") as page:
            for path in PAGES:
                looked = charts.look(page, f"/parc/{path}")
                assert (looked.complaints, looked.violations, looked.width) == ([], [], 390), path
                assert page.locator("html").get_attribute("lang") == "fr"
                for name, figure in looked.figures.items():
                    if name in ("waves", "answers", "effect", "map", "events") or not figure["rows"]:
                        continue
                    per_row = {"waits": 2, "compared": 2}.get(name, 1)
                    assert looked.marks(name, "circle") == per_row * figure["rows"], (path, name)

    def test_the_map_has_every_region_and_leads_to_it(self, client: TestClient) -> None:
        with charts.tab(client) as page:
            looked = charts.look(page, "/parc/rollout")
            assert page.locator(".tiles a").count() == len(rows(client, "rollout/map.csv")) == 28
            assert page.locator(".tiles rect").count() == 102
            assert looked.marks("waves", "tick") == len(rows(client, "rollout/waves.csv"))
            assert looked.marks("answers", "rect mark") == len(rows(client, "rollout/answers.csv")) == 6
            page.get_by_label("Colours show").select_option("rate")
            page.locator("a[data-region='53'][class^='level-']").wait_for()
            page.locator("a[data-region='53']").focus()
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Bretagne", level=1).wait_for()

    def test_airflows_language_decides(self, client: TestClient) -> None:
        with charts.tab(client, locale="en-GB") as page:
            page.add_init_script("localStorage.setItem('i18nextLng', 'fr')")
            page.goto("/parc/rollout")
            page.get_by_role("heading", name="Le déploiement").wait_for()

    def test_an_empty_warehouse_says_so(self, warehouse: Settings) -> None:
        with charts.tab(charts.pages_of(warehouse)) as page:
            for path in PAGES:
                looked = charts.look(page, f"/parc/{path}")
                assert (looked.complaints, looked.violations, looked.figures) == ([], [], {}), path
                page.get_by_text("No build has been published yet").wait_for()


class TestFigures:
    """The figures are those of the marts."""

    def test_figures_of_a_day_equal_the_view_of_one_grain(
        self, client: TestClient, one_day: Settings
    ) -> None:
        for kind, code in (("region", "53"), ("directorate", "OUEST")):
            for name in (
                "service_level",
                "abandonment_rate",
                "mean_wait_seconds",
                "repeat_7d_rate",
                "satisfaction",
                "home_region_rate",
                "call_rate",
            ):
                found = rows(client, f"{kind}s/{code}/{name}.csv?step=day")
                with connect(one_day, "bi_reader") as connection:
                    expected = connection.execute(
                        f"select business_date::text, {name} from mart_service_quality_{kind}_daily "
                        f"where {kind}_code = %s and {name} is not null order by 1",
                        [code],
                    ).fetchall()
                assert [(row["start_date"], float(row["metric_value"])) for row in found] == [
                    (day, pytest.approx(float(value), abs=1e-6)) for day, value in expected
                ], (code, name)
                assert len(found) == 1

    def test_who_answers_adds_up_to_the_nation(self, client: TestClient, one_day: Settings) -> None:
        for market in ("fixe", "internet", "open"):
            found = rows(client, f"rollout/answers.csv?market={market}")
            with connect(one_day, "bi_reader") as connection:
                [expected] = connection.execute(
                    "select home_in_hours_count, home_off_hours_count, other_directorate_count, "
                    "offshore_in_hours_count, offshore_off_hours_count, other_site_count "
                    "from mart_service_quality_nation_market_weekly where market = %s",
                    [market],
                ).fetchall()
            assert tuple(int(row["answered_count"]) for row in found) == expected

    def test_provisional_figures_are_said_to_be(self, client: TestClient) -> None:
        final = {
            name: rows(client, f"regions/53/{name}.csv?step=day")
            for name in ("service_level", "repeat_7d_rate")
        }
        assert [row["is_final"] for row in final["service_level"]] == ["True"]
        assert [row["is_final"] for row in final["repeat_7d_rate"]] == ["False"]
        assert 'fill": "url(#provisional)"' in client.get("/parc/regions/53?step=day").text

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("regions/99", 404),
            ("directorates/'", 404),
            ("regions/5%003", 404),
            ("rollout/none.csv", 404),
            ("regions/53/none.csv", 404),
            ("rollout?market=mobile", 404),
            ("rollout?date=soon", 404),
            ("rollout?date=1999-01-01", 200),
            ("rollout?date=", 200),
        ],
    )
    def test_what_does_not_exist(self, client: TestClient, path: str, status: int) -> None:
        assert client.get(f"/parc/{path}").status_code == status

    def test_what_happened_is_in_the_page_once_for_all_charts(
        self, client: TestClient, one_day: Settings
    ) -> None:
        """Repeated in each, the events of a year were most of a page of 570 kB."""
        with connect(one_day, "admin") as connection:
            connection.execute(
                "insert into reference.event_calendar (event_date, region_code, event_name) "
                "values (%s, null, 'A storm of this test')",
                [DAY],
            )
        try:
            page = client.get("/parc/regions/53").text
        finally:
            with connect(one_day, "admin") as connection:
                connection.execute(
                    "delete from reference.event_calendar where event_name like '%of this test'"
                )
        assert page.count("A storm of this test") == 3, "for days, for weeks, and in the table"

    def test_pages_are_small_and_quick(self, client: TestClient) -> None:
        """In CPU seconds, because elapsed seconds depend on how busy the machine is."""
        for path in PAGES:
            took = []
            for _ in range(5):
                began = time.process_time()
                size = len(client.get(f"/parc/{path}").content)
                took.append(time.process_time() - began)
            assert min(took) < 0.2 and size < 500_000, path


class TestLanguages:
    """Each language says the same things."""

    def test_both_have_the_same_texts(self) -> None:
        shapes = [shape(texts(code).found) for code in LANGUAGES]
        assert shapes[0] == shapes[1]

    @pytest.mark.parametrize(
        ("accepted", "cookie", "spoken"),
        [
            ("", None, "en"),
            ("fr-FR,fr;q=0.9,en;q=0.8", None, "fr"),
            ("de,en;q=0.5,fr;q=0.7", None, "fr"),
            ("fr", "en", "en"),
            ("en", "fr-FR", "fr"),
            ("fr", "de", "en"),
            ("fr;q=much", None, "en"),
        ],
    )
    def test_who_is_spoken_to_how(
        self, client: TestClient, accepted: str, cookie: str | None, spoken: str
    ) -> None:
        headers = {"accept-language": accepted} | ({"cookie": f"parc_language={cookie}"} if cookie else {})
        assert f'<html lang="{spoken}"' in client.get("/parc/rollout", headers=headers).text

    def test_a_region_goes_live_and_a_table_is_activated(self) -> None:
        """In French one word is not used for both."""
        french = texts("fr")
        of_tables = [
            *(french.at(place) for place in ("nav.releases", "columns.live_from_at", "event.release")),
            *french.at("release_kind").values(),
            *french.at("routing").values(),
            *french.at("releases").values(),
            french.at("figures.releases.title"),
            french.at("explain.live_since"),
        ]
        assert not [each for each in of_tables if "en service" in each]
        assert "mise en service" in french("event.go_live")

    @pytest.mark.parametrize(
        ("kept", "french"),
        [
            (
                "Go-live of 53 fixe on 2012-04-25: 6.0% of calls move",
                "Mise en service de Bretagne fixe, le 25 avr. 2012 : 6,0\u00a0% des appels déplacés",
            ),
            ("Go-live of 11 zones and markets", "Mise en service de 11 zones et marchés"),
            (
                "rule 5: overseas routing changes: *, 53",
                "l'aiguillage d'outre-mer change : la nation, Bretagne",
            ),
            ("approved by Anne; Airflow run manual__1", "approuvé par Anne; exécution d'Airflow manual__1"),
            ("Release of 2012-04-25", "Release of 2012-04-25"),
        ],
    )
    def test_a_plan_in_french(self, kept: str, french: str) -> None:
        """What has no form is shown as it was kept."""
        names = {"53": "Bretagne", "11": "Île-de-France"}
        assert plan_words.plain_words(kept, texts("fr"), names) == french

    def test_numbers_and_dates(self) -> None:
        english, french = texts("en"), texts("fr")
        assert (english.number(1234.5, 1), french.number(1234.5, 1)) == ("1,234.5", "1\u202f234,5")
        assert (english.share(0.8312), french.share(0.8312)) == ("83.1%", "83,1\u00a0%")
        assert (english.day(DAY), french.day(DAY)) == ("25 Apr 2012", "25 avr. 2012")


def shape(found: object) -> object:
    """The places of texts, and the names that each fills in."""
    if isinstance(found, dict):
        return {key: shape(each) for key, each in found.items()}
    if isinstance(found, list):
        return len(found)
    return sorted(re.findall(r"\{(\w+)\}", str(found)))


@pytest.fixture(scope="module")
def released(one_day: Settings) -> Settings:
    """The same, with a first table on the switch and a plan in which Bretagne goes live."""
    first = routing.plan(one_day, EVE)
    routing.apply(
        one_day, EVE, requested_by="Paul", reason="first", approve=first.plan_hash, approved_by="Anne"
    )
    plan = routing.plan(one_day, DAY)
    assert plan.moved and plan.loads
    routing.ask(one_day, plan, requested_by="night")
    return one_day


@pytest.fixture(scope="module")
def gone_live(released: Settings) -> routing.Plan:
    """That plan, released."""
    plan = routing.plan(released, DAY)
    routing.apply(
        released, DAY, requested_by="Paul", reason="second", approve=plan.plan_hash, approved_by="Anne"
    )
    return plan


OPERATIONS = ("sites", "sites/RENNES", "sites/CASABLANCA", "routing", "calendar?feed=calls")


class TestOperations:
    """The pages of the sites, of routing and of the deliveries."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_chart_is_drawn(self, released: Settings, client: TestClient, scheme: str) -> None:
        with charts.tab(client, color_scheme=scheme, viewport=PHONE, locale="fr-FR") as page:
            for path in OPERATIONS:
                looked = charts.look(page, f"/parc/{path}")
                assert (looked.complaints, looked.violations, looked.width) == ([], [], 390), path
            sites = charts.look(page, "/parc/sites")
            planned = [row for row in rows(client, "sites.csv") if row["occupancy"]]
            assert sites.marks("sites", "bar") == len(planned) > 10
            site = charts.look(page, "/parc/sites/RENNES")
            load = [row for row in rows(client, "sites/RENNES/load.csv") if row["occupancy"]]
            assert site.marks("load", "rect mark") == len(load) > 10
            year = charts.look(page, "/parc/calendar")
            assert year.marks("year", "rect mark") == len(rows(client, "calendar/year.csv")) > 5
            assert year.marks("months", "rect mark") == len(rows(client, "calendar/months.csv"))
            plan = charts.look(page, "/parc/routing")
            assert plan.marks("moved", "bar") == len(rows(client, "routing/moved.csv")) > 0

    def test_an_empty_warehouse_says_so(self, warehouse: Settings) -> None:
        with charts.tab(charts.pages_of(warehouse)) as page:
            for path in OPERATIONS:
                looked = charts.look(page, f"/parc/{path}")
                assert (looked.complaints, looked.violations) == ([], []), path
                assert not any(figure["rows"] for figure in looked.figures.values()), path

    def test_occupancy_is_that_of_the_marts(self, client: TestClient, one_day: Settings) -> None:
        found = {
            (int(row["weekday"]), row["half_hour_local"]): float(row["occupancy"])
            for row in rows(client, "sites/RENNES/load.csv")
            if row["occupancy"]
        }
        with connect(one_day, "bi_reader") as connection:
            expected = connection.execute(
                "select weekday, half_hour_local::text, sum(handle_seconds) / sum(position_seconds) "
                "from mart_site_load_half_hourly where site_code = 'RENNES' group by 1, 2 "
                "having sum(position_seconds) > 0"
            ).fetchall()
        assert found == {(day, at): pytest.approx(float(share), abs=1e-4) for day, at, share in expected}

    def test_the_plan_on_the_page_is_the_plan(self, client: TestClient, released: Settings) -> None:
        plan = routing.plan(released, DAY)
        moved = {
            (row["zone_code"], row["market"]): float(row["moved_calls"])
            for row in rows(client, "routing/moved.csv")
        }
        assert moved == {
            (pair["zone_code"], pair["market"]): pytest.approx(pair["moved_calls"])
            for pair in plan.moved_pairs()
        }
        with connect(released, "reader") as connection:
            newest = plans.newest(connection)
        text = client.get("/parc/routing").text
        assert newest and newest.subject.startswith("Go-live of 5")
        title = r"<strong>Go-live of [^<]*Bretagne fixed line, internet[^<]* on 26 Apr 2012: [\d.]+% of calls"
        assert re.search(title, text) and "/required_actions" in text
        french = client.get("/parc/routing", headers={"accept-language": "fr"}).text
        assert re.search("<strong>Mise en service de [^<]*Bretagne fixe, internet", french)
        assert "des appels déplacés" in french and re.search(
            "<li>mise en service de [^<]*Bretagne fixe", french
        )
        assert "would" not in french and "go-live" not in french.lower()
        changes = text.partition('id="changes"')[2].partition("</section>")[0]
        assert "Rennes" in changes and "<details>" in changes, "names, and folded"
        assert not re.search(r"\b0[1-9]\d{8}\b|\+33\d", text), "no telephone number"

    def test_the_calendar_tells_what_the_ledger_tells(self, client: TestClient, one_day: Settings) -> None:
        found = {
            (row["feed"], row["business_date"]): row["state"] for row in rows(client, "calendar/year.csv")
        }
        assert found["calls", str(DAY)] in ("published", "late", "restated")
        assert found["boutique_visits", str(DAY + timedelta(days=1))] == "missing"
        progress = {row["feed"]: row for row in rows(client, "calendar/progress.csv")}
        for feed, row in progress.items():
            states = [state for (of, _), state in found.items() if of == feed]
            assert int(row["due_count"]) == len(states)
            assert int(row["missing_count"]) == states.count("missing")

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("sites/NOWHERE", 404),
            ("sites/RENNES/none.csv", 404),
            ("routing/none.csv", 404),
            ("calendar?feed=none", 404),
            ("calendar/none.csv", 404),
        ],
    )
    def test_what_does_not_exist(self, client: TestClient, path: str, status: int) -> None:
        assert client.get(f"/parc/{path}").status_code == status

    def test_what_a_release_was_to_bring_is_kept(
        self, client: TestClient, gone_live: routing.Plan, released: Settings
    ) -> None:
        """Of the table that is live: calls of a usual week, at the sites that are offered them first."""
        with connect(released, "reader") as connection:
            kept = connection.execute(
                "select site_code, sum(calls), sum(seconds) from ops.routing_site_work, "
                "unnest(call_counts, handle_seconds) as half_hour (calls, seconds) group by 1"
            ).fetchall()
        expected = {site.site_code: site.calls for site in gone_live.loads if site.calls > 0}
        assert {site: pytest.approx(calls, rel=1e-3) for site, calls, _ in kept} == expected
        assert all(seconds > 0 for _, _, seconds in kept)
        predicted = rows(client, "sites/RENNES/predicted.csv")
        both = sum(1 for row in predicted for name in ("predicted_work_agents", "work_agents") if row[name])
        with charts.tab(client) as page:
            assert charts.look(page, "/parc/sites/RENNES").marks("predicted", "circle") == both > 10

    def test_pages_are_small_and_quick(self, released: Settings, client: TestClient) -> None:
        for path in OPERATIONS:
            took = []
            for _ in range(5):
                began = time.process_time()
                size = len(client.get(f"/parc/{path}").content)
                took.append(time.process_time() - began)
            assert min(took) < 0.2 and size < 500_000, (path, size, took)
