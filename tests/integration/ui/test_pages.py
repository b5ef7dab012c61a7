"""The pages inside Airflow: what they show of a night with problems, who sees them, what a browser may do."""

from __future__ import annotations

import csv
import gzip
import html
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from parc.build import build, document
from parc.errors import BuildFailed
from parc.ledger import write_releases
from parc.loading import ingest
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.deliveries import deliver
from support.running import BROWSER

FIRST = date(2012, 4, 23)
GOOD, FAULTY, REFUSED, MISSING = (FIRST + timedelta(days=day) for day in range(4))
REFERENCES = ("numbering_plan", "line_assignments", "active_lines", "boutiques")
HOSTILE = "<script>alert(1)</script>"
LIBRARY = f"vega-{version('vl-convert-python')}.js"
INGEST_RUN = "manual__2012-04-26T02:00:00+00:00"
FAULTY_DELIVERY = (
    f"select delivery_id from ops.delivery where feed = 'calls' and business_date = '{FAULTY}' "
    "and status = 'published'"
)


pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture(scope="module")
def night(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three days of calls: one good, one with hostile rows, one refused; the day after is missing.

    The first day is built; the build of the second fails on a test.
    """
    settings = replace(module_warehouse, home=tmp_path_factory.mktemp("home"))
    (settings.home / "postgres").symlink_to(module_warehouse.home / "postgres")
    (settings.home / "secrets").symlink_to(module_warehouse.home / "secrets")
    simulate(GOOD, REFUSED, scale=0.003, seed=7, out=settings.landing)
    for feed in REFERENCES:
        ingest(settings, feed, FIRST)
    ingest(settings, "calls", GOOD)
    build(replace(settings, airflow_run=("build_marts", "scheduled__good")))
    document(settings)

    spoil(settings, FAULTY, 2)
    spoil(settings, REFUSED, None)
    run = replace(settings, airflow_run=("ingest_calls", INGEST_RUN))
    outcomes = [ingest(run, "calls", day, complete_only=day == MISSING) for day in (FAULTY, REFUSED, MISSING)]
    assert [outcome.status for outcome in outcomes] == ["published", "refused", "missing"]
    with connect(settings, "admin") as connection:
        connection.execute(
            "update ops.delivery set rows_published = rows_published - 1, rows_read = rows_read - 1 "
            "where feed = 'calls' and business_date = %s and status = 'published'",
            [FAULTY],
        )
    with pytest.raises(BuildFailed):
        build(replace(settings, airflow_run=("build_marts", "scheduled__bad")))
    asked(replace(settings, airflow_run=("export_routing", "manual__1")))
    return settings


def asked(settings: Settings) -> None:
    """A run asks for the approval of a release."""
    with connect(settings, "exporter") as connection:
        plan_id = write_releases.record_plan(
            connection,
            business_date=date(2012, 4, 24),
            effective_date=date(2012, 4, 25),
            plan_hash="abc",
            verdict="needs approval",
            subject="Release of 2012-04-25",
            reasons=["rule 5: go-live of 53 fixe"],
            steps=(),
            build_id=1,
            requested_by="Bernard",
            run=settings.airflow_run,
        )
        write_releases.request_approval(
            connection,
            plan_hash="abc",
            business_date=date(2012, 4, 24),
            plan_id=plan_id,
            requested_by="Bernard",
            question_id=uuid4(),
            run=settings.airflow_run,
        )


def spoil(settings: Settings, day: date, rows: int | None) -> None:
    """Make this many rows of the day's calls (None: all) break a rule and carry code that a browser would
    run."""
    folder = Path(settings.landing) / "calls" / f"date={day}"
    (folder / "_CONTROL.json").unlink(missing_ok=True)
    path = folder / "calls.csv.gz"
    header, *legs = csv.reader(gzip.decompress(path.read_bytes()).decode().splitlines())
    for number, leg in enumerate(legs[:rows]):
        leg[header.index("market")] = HOSTILE
        leg[header.index("call_id")] = f"{HOSTILE}{number}"  # of the two, an identifier is shown
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([header, *legs])


@pytest.fixture(scope="module")
def anonymous(night: Settings) -> Iterator[TestClient]:
    """The pages as Airflow mounts them, with its own check of who asks."""
    from airflow.api_fastapi.app import init_auth_manager

    init_auth_manager()
    with mounted(night, {}) as client:
        yield client


@pytest.fixture(scope="module")
def client(night: Settings) -> Iterator[TestClient]:
    """The pages for a logged-in user."""
    from parc.ui.app import app
    from parc.ui.visitors import Visitor, visitor

    allowed = {depends.dependency: lambda: None for depends in app.router.dependencies}
    with mounted(night, {**allowed, visitor: lambda: Visitor("emil", may_answer=True)}) as client:
        yield client


def mounted(settings: Settings, overrides: dict) -> TestClient:
    from parc.ui.app import app

    pages = FastAPI()
    pages.mount("/parc", app)
    given = {Settings.from_env: lambda: settings, **overrides}

    class Client(TestClient):
        def request(self, *arguments, **keywords):
            app.dependency_overrides = given
            return super().request(*arguments, **keywords)

    return Client(pages, follow_redirects=False)


def text(page) -> str:
    """The text of a page, without markup."""
    assert page.status_code == 200, page.text
    body = re.sub(r"<(style|script)>.*?</\1>", "", page.text, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def value(settings: Settings, query: str) -> int:
    with connect(settings, "reader") as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


PAGES = [
    "/parc/",
    "/parc/nights",
    "/parc/builds",
    "/parc/builds/1",
    "/parc/releases",
    "/parc/notices",
    "/parc/deliveries",
    "/parc/deliveries/1",
    "/parc/quarantine",
    "/parc/quarantine.csv",
    "/parc/run/models?dag_id=build_marts&run_id=x",
    "/parc/run/deliveries?dag_id=ingest_calls&run_id=x",
    "/parc/docs/index.html",
    "/parc/runbooks/refused",
    "/parc/adr/0022-findings-are-data.md",
    "/parc/project",
    "/parc/project/page",
    "/parc/rollout",
    "/parc/rollout/map.csv",
    "/parc/regions/53",
    "/parc/regions/53/waits.csv",
    "/parc/directorates/OUEST",
    "/parc/directorates/OUEST/waits.csv",
    "/parc/sites",
    "/parc/sites.csv",
    "/parc/sites/RENNES",
    "/parc/sites/RENNES/load.csv",
    "/parc/routing",
    "/parc/routing/moved.csv",
    "/parc/calendar",
    "/parc/calendar/year.csv",
    f"/parc/charts/{LIBRARY}",
]

FILLED = {
    r"/(1|refused|53|OUEST|RENNES)(?=$|/)": "/{id}",
    r"/(map|waits|load|moved|year)(?=\.csv$)": "/{id}",
    r"/adr/[\w-]+(?=\.md$)": "/{id}/{id}",
    r"^/docs/.+": "/docs/{path:path}",
}
"""What stands in `PAGES` for the variable parts of an address."""
ACTS = {"/findings/{finding_id}", "/routing/explain"}
"""The one address at which a page changes something."""
OURS = {"sec-fetch-site": "same-origin"}


class TestWhoMaySee:
    """Airflow's own check of the user stands before every page."""

    def test_every_address_is_tried_below(self) -> None:
        from parc.ui.app import app

        shapes = {route.path for route in app.routes if "GET" in route.methods}
        assert {route.path for route in app.routes if route.methods - {"GET", "HEAD"}} == ACTS
        tried = set()
        for path in PAGES:
            shape = path.removeprefix("/parc").partition("?")[0]
            for filled, variable in FILLED.items():
                shape = re.sub(filled, variable, shape)
            tried.add(shape)
        assert {re.sub(r"\{\w+\}", "{id}", shape) for shape in shapes} == tried

    @pytest.mark.parametrize("path", PAGES)
    def test_unknown_users_are_refused(self, anonymous: TestClient, path: str) -> None:
        answer = anonymous.get(path)
        assert answer.status_code == 401
        assert "Log in to Airflow" in answer.text
        assert "calls" not in re.sub(r"<(style|script)>.*?</\1>", "", answer.text, flags=re.S)

    @pytest.mark.parametrize(
        "how", [{"headers": {"Authorization": "Bearer no.such.token"}}, {"cookies": {"_token": "forged"}}]
    )
    def test_forged_tokens_are_refused(self, anonymous: TestClient, how: dict) -> None:
        anonymous.cookies.update(how.get("cookies", {}))
        try:
            assert anonymous.get("/parc/", headers=how.get("headers")).status_code in (401, 403)
        finally:
            anonymous.cookies.clear()

    def test_users_without_a_role_are_refused(self, anonymous: TestClient) -> None:
        """A user known to Airflow, but not one of those who see its plugins."""
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.security import get_user

        from parc.ui.app import app

        anonymous.get("/parc/")  # sets the overrides
        given = app.dependency_overrides
        for role, status in ((None, 403), ("viewer", 200)):
            user = SimpleAuthManagerUser(username="someone", role=role)
            given[get_user] = lambda user=user: user
            assert anonymous.get("/parc/builds").status_code == status
        del given[get_user]

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    @pytest.mark.parametrize("path", PAGES)
    def test_pages_change_nothing(self, client: TestClient, method: str, path: str) -> None:
        assert getattr(client, method)(path).status_code == 405

    def test_no_page_describes_the_addresses(self, client: TestClient) -> None:
        for path in ("/parc/docs", "/parc/redoc", "/parc/openapi.json"):
            assert client.get(path).status_code in (307, 404), path


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_pages_are_accessible_and_fit_a_telephone(client: TestClient, night: Settings) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    faulty = value(night, FAULTY_DELIVERY)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        for path in (
            "",
            "builds/2",
            "releases",
            "quarantine",
            "nights",
            "notices",
            "project",
            "docs/index.html",
            f"deliveries/{faulty}",
            "runbooks/refused",
        ):
            html = client.get(f"/parc/{path}").text
            page.set_content(re.sub(r"<script>.*?</script>", "", html, flags=re.S))
            found = Axe().run(page).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], path
            assert page.evaluate("document.documentElement.scrollWidth") == 390, path
            if path == "quarantine":
                cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
                assert page.evaluate(f"{cut}.length") == 0, "no column is out of sight"
        browser.close()


@pytest.mark.parametrize("path", ["", "releases", "quarantine", "nights"])
def test_older_pages_speak_french(client: TestClient, path: str) -> None:
    """What they say of themselves; findings and rules are English, and say so."""
    page = client.get(f"/parc/{path}", headers={"accept-language": "fr"}).text
    assert '<html lang="fr"' in page
    shown = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    shown = re.sub(r'<(\w+)[^>]* lang="en"[^>]*>.*?</\1>', "", shown, flags=re.DOTALL)
    shown = html.unescape(re.sub(r"<option.*?</option>|<code.*?</code>|<[^>]+>", " ", shown, flags=re.DOTALL))
    assert not re.search(
        r"\b(the|newest|first|since|last|when|rows|build|released|business date|missing|refused)\b",
        shown,
        re.IGNORECASE,
    ), shown


class TestWhatABrowserMayDo:
    """Nothing from outside, no scripts except our own, no frame except Airflow's."""

    @pytest.mark.parametrize("path", [*PAGES, "/parc/nowhere", "/parc/builds/99", "/parc/builds/x"])
    def test_every_answer_is_restricted(self, client: TestClient, path: str) -> None:
        answer = client.get(path)
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'self'"
        assert "http" not in answer.headers["content-security-policy"]
        if path == "/parc/project/page":  # dbt's own program, which no cookie of Airflow's reaches
            assert policy["sandbox"] == "allow-scripts" and "connect-src" not in policy
            return
        if "/charts/" in path:  # a program, not a page: it has texts of all kinds
            assert answer.headers["content-type"].startswith("text/javascript")
            assert answer.headers["x-content-type-options"] == "nosniff"
            return
        if "/docs/" not in path:
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert "style=" not in re.sub(r"<style>.*?</style>", "", answer.text, flags=re.S)
        else:
            assert "script-src" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)

    def test_delivered_text_is_escaped(self, client: TestClient, night: Settings) -> None:
        refused = value(night, "select max(delivery_id) from ops.delivery where status = 'refused'")
        faulty = value(night, FAULTY_DELIVERY)
        for path in (f"/deliveries/{refused}", f"/deliveries/{faulty}", "/deliveries", "/"):
            page = client.get(f"/parc{path}").text
            assert HOSTILE not in page, path
        assert "&lt;script&gt;" in client.get(f"/parc/deliveries/{refused}").text

    @pytest.mark.parametrize(
        "path",
        [
            "../secrets/pseudonym_secret",
            "..%2Fsecrets%2Fpseudonym_secret",
            "landing/..%2f..%2f..%2fetc/passwd",
            "%2Fetc%2Fpasswd",
            "/etc/passwd",
            "link.html",
            ".index.lock",
            "landing",
            "landing/calls",
            "index.html%00.html",
            "data.result.json",
        ],
    )
    def test_the_docs_lead_nowhere_else(self, client: TestClient, night: Settings, path: str) -> None:
        folder = night.home / "data_docs"
        outside = night.home / "outside.html"
        outside.write_text("outside")
        (folder / "data.result.json").write_text("{}")
        link = folder / "link.html"
        if not link.is_symlink():
            link.symlink_to(outside)
        answer = client.get(f"/parc/docs/{path}")
        assert answer.status_code == 404
        assert "outside" not in answer.text


class TestDesk:
    """What needs attention, the nights, the builds, the switch."""

    def test_shows_what_is_wrong_and_what_fixes_it(self, client: TestClient) -> None:
        shown = text(client.get("/parc/"))
        assert "wrong" in shown.partition("The last nights")[0]
        assert f"calls {REFUSED}" in shown and f"parc ingest calls --date {REFUSED}" in shown
        assert f"calls {MISSING}" in shown and f"parc ingest calls --date {MISSING}" in shown
        assert "build failed" in shown and "build 2" in shown

    def test_what_bi_sees_and_where(self, client: TestClient, night: Settings) -> None:
        shown = text(client.get("/parc/"))
        assert "BI sees build 1 since" in shown and f", calls up to {GOOD}" in shown
        with connect(night, "bi_reader") as connection:
            at = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
        assert f"BI connects to postgresql://bi_reader@{at} " in shown
        loaded_afterwards = f"The last night, of {MISSING}, was loaded afterwards : its deadlines"
        assert "The last night, of" not in shown and loaded_afterwards in text(client.get("/parc/nights"))

    def test_waiting_approvals_link_to_the_question(self, client: TestClient) -> None:
        page = client.get("/parc/")
        assert "Release of 2012-04-25" in text(page)
        assert 'href="/dags/export_routing/runs/manual__1/tasks/approve/required_actions"' in page.text

    @pytest.mark.parametrize(
        ("feed", "day", "reported"),
        [
            ("calls", GOOD, "published, [0-9,]+ rows"),
            ("calls", FAULTY, "published, [0-9,]+ rows, 2 in quarantine, not in the marts yet"),
            ("calls", REFUSED, "refused: .*break rules"),
            ("calls", MISSING, 'missing"'),
            ("boutiques", FAULTY, "not due"),
            ("boutique_visits", GOOD, "missing"),
        ],
    )
    def test_the_nights(self, client: TestClient, feed: str, day: date, reported: str) -> None:
        named = feed.replace("_", " ")
        assert re.search(f'title="{named} {day}: {reported}', client.get("/parc/").text)

    def test_an_older_warehouse_says_so(self, client: TestClient, night: Settings) -> None:
        with connect(night, "admin") as connection:
            [name] = connection.execute(
                "delete from ops.schema_version where name = '0011_airflow_runs.sql' returning name, sha256"
            ).fetchall()
        try:
            shown = text(client.get("/parc/"))
            assert "schema 0011_airflow_runs.sql" in shown and "schema schema" not in shown
            assert "parc up --no-airflow" in shown
        finally:
            with connect(night, "admin") as connection:
                connection.execute("insert into ops.schema_version (name, sha256) values (%s, %s)", name)

    def test_an_unreachable_warehouse_is_reported(self, client: TestClient, night: Settings) -> None:
        from parc.ui.app import app

        client.get("/parc/builds")
        away = replace(night, warehouse_dsn="postgresql://127.0.0.1:1/none")
        app.dependency_overrides[Settings.from_env] = lambda: away
        try:
            answer = client.get("/parc/builds")
        finally:
            app.dependency_overrides[Settings.from_env] = lambda: night
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text

    def test_is_quick(self, client: TestClient) -> None:
        client.get("/parc/")
        assert min(worked(client) for _ in range(5)) < 0.2


def worked(client: TestClient) -> float:
    """CPU seconds of this process for a page, because elapsed seconds depend on how busy the machine is."""
    began = time.process_time()
    client.get("/parc/")
    return time.process_time() - began


class TestAnswers:
    """The one act on these pages: what a person says about a finding."""

    def test_a_finding_is_answered_and_reopened(self, client: TestClient) -> None:
        before = client.get("/parc/")
        [address] = re.findall(
            rf'calls {REFUSED}</a></strong>.*?action="(/parc/findings/[0-9a-f]{{8}})"', before.text, re.S
        )
        form = {"reason": "call 06 12 34 56 78 <b>", "until": "2098-01-01T10:00"}
        for verdict, reported in (
            ("acknowledged", "acknowledged by emil until 2098-01-01 10:00 Paris: call *** &lt;b"),
            ("dismissed", "dismissed by emil until 2098-01-01 10:00 Paris: call *** &lt;b"),
        ):
            answer = client.post(address, data={**form, "verdict": verdict}, headers=OURS)
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/parc/#{address[-8:]}"
            desk = client.get("/parc/")
            assert reported in text(desk) and "<b>" not in desk.text
            assert (counted(desk) < counted(before)) == (verdict == "dismissed")
        assert client.post(address, data={**form, "verdict": "reopened"}, headers=OURS).status_code == 303
        assert text(client.get("/parc/")) == text(before)
        again = client.post(address, data={**form, "verdict": "reopened"}, headers=OURS)
        assert again.status_code == 404 and "no answer that could be taken back" in again.text

    @pytest.mark.parametrize(
        ("form", "status", "reported"),
        [
            ({"reason": " "}, 422, "reason is empty or not valid"),
            ({"reason": "a\0b"}, 422, "reason is empty or not valid"),
            ({"verdict": "forgotten"}, 422, "verdict is empty or not valid"),
            ({"until": "soon"}, 422, "until is empty or not valid"),
            ({"until": "2012-04-25T10:00"}, 422, "2012-04-25 10:00 Paris is past"),
            ({}, 404, "nothing that needs attention has the id 00000000. It may have ended"),
        ],
    )
    def test_what_is_wrong_in_a_form_is_named(
        self, client: TestClient, form: dict, status: int, reported: str
    ) -> None:
        given = {"verdict": "dismissed", "reason": "a holiday", **form}
        answer = client.post("/parc/findings/00000000", data=given, headers=OURS)
        assert answer.status_code == status and reported in answer.text

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
            {"sec-fetch-site": "same-site"},  # another port of this host
            {"origin": "http://testserver:8081"},
            {"origin": "null"},
        ],
    )
    def test_forms_of_other_sites_are_refused(self, client: TestClient, headers: dict) -> None:
        form = {"verdict": "dismissed", "reason": "a holiday"}
        assert client.post("/parc/findings/00000000", data=form, headers=headers).status_code == 403

    def test_only_those_who_start_runs_answer(self, anonymous: TestClient) -> None:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.security import get_user

        from parc.ui.app import app

        def answered() -> int:
            form = {"verdict": "dismissed", "reason": "a holiday"}
            ours = {"origin": "http://testserver"}  # of a browser that sends no Sec-Fetch-Site
            return anonymous.post("/parc/findings/00000000", data=form, headers=ours).status_code

        assert answered() == 401
        given = app.dependency_overrides
        for role, status, has_form in ((None, 403, False), ("viewer", 403, False), ("user", 404, True)):
            user = SimpleAuthManagerUser(username="someone", role=role)
            given[get_user] = lambda user=user: user
            assert answered() == status
            assert ("<form" in anonymous.get("/parc/").text) == has_form
        del given[get_user]


def counted(page) -> int:
    """How many things are wrong."""
    return int(re.search(r"(\d+) things? (is|are) wrong", text(page))[1])


class TestBuilds:
    """What each model did, what failed first."""

    def test_failures_come_first_with_their_rows(self, client: TestClient, night: Settings) -> None:
        page = client.get("/parc/builds/2")
        shown = text(page)
        assert shown.index("What failed") < shown.index("legs_add_up_to_the_ledger") < shown.index("Models")
        assert shown.count("build the marts: parc build") == 1
        with connect(night, "reader") as connection:
            [(rows,)] = connection.execute(
                "select failing_rows from ops.build_node where build_id = 2 and node ~ 'legs_add_up_to'"
            ).fetchall()
        assert rows
        failure = page.text.partition("What failed")[2].partition("<h2>Models")[0]
        for name, cell in rows[0].items():
            assert f"<th>{name}</th>" in failure and f"<td>{cell}</td>" in failure

    def test_models_are_listed_with_their_tests(self, client: TestClient, night: Settings) -> None:
        shown = text(client.get("/parc/builds/1"))
        with connect(night, "reader") as connection:
            nodes = connection.execute(
                "select node, kind from ops.build_node where build_id = 1 and kind <> 'unit_test'"
            ).fetchall()
        assert {"model", "seed", "test"} <= {kind for _, kind in nodes}
        assert all(node in shown for node, _ in nodes)
        assert "What failed" not in shown
        assert re.search(r"fct_calls success [\d.]+ [\d,–]+ \d+ of \d+ passed", shown)

    def test_the_list(self, client: TestClient) -> None:
        shown = text(client.get("/parc/builds"))
        assert re.search(r"2 failed .* 1 published", shown)
        assert re.search(r"[1-9]\d* of \d{2,}", shown)


class TestNights:
    """When each feed came, and when BI saw it."""

    def test_each_night_has_its_times_and_its_build(self, client: TestClient, night: Settings) -> None:
        page = client.get("/parc/nights")
        came = value(night, FAULTY_DELIVERY.replace("delivery_id", "landed_at"))
        assert f'datetime="{came.isoformat()}"' in page.text
        shown = text(page).rpartition("Releasing ")[2]
        for day, reported in ((GOOD, "build 1"), (REFUSED, "refused"), (MISSING, "missing")):
            row = shown.partition(f"{day} loaded")[2].partition(" loaded afterwards")[0]
            assert reported in row, shown
        assert re.search(r"2012-04-23 3 0 0 [0-9.]+ s", text(page))


class TestRuns:
    """From a run of Airflow's to what it made."""

    def of(self, client: TestClient, what: str, dag_id: str, run_id: str):
        return client.get(f"/parc/run/{what}", params={"dag_id": dag_id, "run_id": run_id})

    def test_of_a_build(self, client: TestClient) -> None:
        assert "legs_add_up_to_the_ledger" in text(self.of(client, "models", "build_marts", "scheduled__bad"))
        shown = text(self.of(client, "deliveries", "build_marts", "scheduled__good"))
        assert f"calls {GOOD}" in shown and f"calls {FAULTY}" not in shown

    def test_of_an_ingest(self, client: TestClient, night: Settings) -> None:
        page = self.of(client, "deliveries", "ingest_calls", INGEST_RUN)
        shown = text(page)
        assert f"calls {FAULTY} published" in shown and f"calls {REFUSED} refused" in shown
        assert f"calls {GOOD}" not in shown
        [link] = set(re.findall(r'href="/parc/docs/([^"]+)"', page.text)) - {"index.html"}
        assert f"calls_{FAULTY}" in link
        docs = client.get(f"/parc/docs/{link}")
        assert f"calls {FAULTY}" in text(docs) and '<a href="/parc/">Desk</a>' in docs.text
        assert "Not in the marts yet" in text(self.of(client, "models", "ingest_calls", INGEST_RUN))

    def test_of_nothing(self, client: TestClient) -> None:
        assert "built nothing" in text(self.of(client, "models", "build_marts", "manual__never"))
        assert "read none" in text(self.of(client, "deliveries", "ingest_calls", "manual__never"))

    def test_the_desk_leads_back_to_the_run(self, client: TestClient) -> None:
        assert 'href="/dags/build_marts/runs/scheduled__bad"' in client.get("/parc/builds").text

    def test_a_task_knows_its_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "ingest_calls")
        monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", INGEST_RUN)
        assert Settings.from_env().airflow_run == ("ingest_calls", INGEST_RUN)
        monkeypatch.delenv("AIRFLOW_CTX_DAG_ID")
        assert Settings.from_env().airflow_run is None


class TestDeliveries:
    """The ledger, and the rows in quarantine."""

    def test_rows_in_quarantine(self, client: TestClient, night: Settings) -> None:
        delivery = value(night, FAULTY_DELIVERY)
        page = client.get(f"/parc/deliveries/{delivery}")
        with connect(night, "reader") as connection:
            rows = connection.execute(
                "select line_number, row_text from ops.quarantine where delivery_id = %s order by 1",
                [delivery],
            ).fetchall()
        assert [line for line, _ in rows] == [2, 3]
        for line, row in rows:
            assert f'<td class="figure">{line}</td>' in page.text
            cells = next(csv.reader([row.replace("<", "&lt;").replace(">", "&gt;")]))
            assert all(f"{cell}<" in page.text for cell in cells)
        assert page.text.count("<code><mark>") == 2 and "<th>market</th>" in page.text
        assert "2 rows broke a rule" in text(page).lower()
        assert "+33" not in text(page).partition("The rows Personal")[2]
        landed = value(night, f"select landed_at from ops.delivery where delivery_id = {delivery}")
        assert f'datetime="{landed.isoformat()}"' in page.text

    def test_a_day_without_deliveries(self, client: TestClient, night: Settings) -> None:
        shown = text(client.get(f"/parc/deliveries?feed=calls&date={MISSING}"))
        assert "No load has found anything for this date. When it has arrived, trigger" in shown
        assert f"parc ingest calls --date {MISSING}" in shown
        lying = deliver(night, "calls", MISSING, calls__csv=b"who")
        shown = text(client.get(f"/parc/deliveries?feed=calls&date={MISSING}"))
        shutil.rmtree(lying)
        assert "The delivery lies in the landing zone (calls.csv; last written at " in shown

    def test_unknown_addresses_are_not_found(self, client: TestClient) -> None:
        for path in ("deliveries/999", "deliveries/x", "builds/999", "deliveries?date=yesterday"):
            assert client.get(f"/parc/{path}").status_code == 404


class TestQuarantine:
    """Rows that broke a rule, across feeds."""

    def test_filters_count_and_name_the_replay(self, client: TestClient, night: Settings) -> None:
        delivery = value(night, FAULTY_DELIVERY)
        shown = text(client.get(f"/parc/quarantine?feed=calls&date={FAULTY}&reason="))
        assert "2 rows in 1 delivery." in shown and f"parc quarantine replay {delivery}" in shown
        assert str(REFUSED) not in shown.partition("By delivery and rule")[2]
        [rule] = re.findall("<option>(`market` .*?)</option>", client.get("/parc/quarantine").text)
        everywhere = client.get("/parc/quarantine", params={"reason": html.unescape(rule)})
        assert str(REFUSED) in text(everywhere) and str(FAULTY) in text(everywhere)
        assert "None of these" in text(client.get("/parc/quarantine?feed=boutiques"))

    def test_the_cap_is_said(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        from parc.ui import quarantine

        for name in ("ROWS_SHOWN", "RULES_SHOWN", "ROWS_DOWNLOADED"):
            monkeypatch.setattr(quarantine, name, 1)
        shown = text(client.get("/parc/quarantine"))
        assert re.search(r"The rows The first 1 of [0-9,]{2,}\.", shown)
        assert re.search(r"Newest first; the first 1 of \d+\.", shown)
        assert "Download the first 1 of them as CSV" in shown
        assert len(client.get("/parc/quarantine.csv").text.splitlines()) == 2

    def test_a_table_without_numbers_and_formulas(self, client: TestClient, night: Settings) -> None:
        answer = client.get(f"/parc/quarantine.csv?feed=calls&date={FAULTY}")
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"] == 'attachment; filename="quarantine.csv"'
        rows = list(csv.DictReader(answer.text.splitlines()))
        assert [(row["line_number"], row["column_name"], row["status"]) for row in rows] == [
            ("2", "market", "published"),
            ("3", "market", "published"),
        ]
        assert all("***" in row["row_text"] and "+33" not in row["row_text"] for row in rows)
        change, text = "update ops.quarantine set row_text = %s where row_text = %s", rows[0]["row_text"]
        with connect(night, "admin", autocommit=True) as connection:
            connection.execute(change, ["=cmd|x", text])
            answer = client.get(f"/parc/quarantine.csv?feed=calls&date={FAULTY}")
            connection.execute(change, [text, "=cmd|x"])
        assert next(csv.DictReader(answer.text.splitlines()))["row_text"] == "'=cmd|x"


class TestFilters:
    """How instants and addresses are written."""

    def test_instants_are_those_of_paris(self) -> None:
        from parc.ui.html import paris

        assert paris(datetime(2012, 4, 26, 2, 0, tzinfo=UTC)) == "2012-04-26 04:00:00"
        assert paris(datetime(2012, 12, 26, 2, 0, tzinfo=UTC)) == "2012-12-26 03:00:00"
        assert paris(None) == "–"

    def test_runs_with_any_name_are_found(self) -> None:
        from parc.findings import run_path

        assert run_path("ingest_calls", "a/b?c#d") == "/dags/ingest_calls/runs/a%2Fb%3Fc%23d"


def test_the_plugin_is_light() -> None:
    """Every Airflow process imports it, so the pages are only loaded with the first request."""
    import subprocess
    import sys

    program = (
        "import airflow.plugins_manager, sys; before = set(sys.modules); import parc_plugin; "
        "new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.startswith('parc.') or name.split('.')[0] in "
        "('fastapi', 'jinja2', 'psycopg', 'polars', 'pandas')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT / "plugins",
    )
    assert done.stdout.strip().splitlines()[-1] == (
        "['parc.instants', 'parc.orchestration', 'parc.orchestration.deadline', "
        "'parc.orchestration.limits', 'parc.orchestration.timetable']"
    )


def test_airflow_loads_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "plugins"))
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    from parc_plugin import ParcPlugin

    views = [ExternalViewResponse.model_validate(view) for view in ParcPlugin.external_views]
    assert [(view.name, view.destination) for view in views] == [
        ("PARC desk", "nav"),
        ("PARC rollout", "nav"),
        ("Models", "dag_run"),
        ("Deliveries", "dag_run"),
        ("Models", "task_instance"),
        ("Deliveries", "task_instance"),
    ]
    assert len({view.url_route for view in views}) == len(views)


def test_the_projects_page_is_made_once_and_leads_back(client: TestClient, night: Settings) -> None:
    frame = client.get("/parc/project").text
    assert "<title>dbt project · PARC</title>" in frame and '<a href="/parc/">Desk</a>' in frame
    assert 'sandbox="allow-scripts" src="/parc/project/page"' in frame
    answer = client.get("/parc/project/page")
    assert answer.status_code == 200 and "mart_service_quality_daily" in answer.text
    assert "The models of PARC" in answer.text
    assert 'xlink:href="{{' not in answer.text and 'ng-attr-href="{{ getIcon' in answer.text
    assert "favicon.ico" not in answer.text
    assert document(night) is None, "the project has not changed"


class TestReleases:
    """What was planned, who answered, and what became of it."""

    def test_a_question_is_listed_with_who_and_why(self, client: TestClient) -> None:
        assert 'href="/parc/releases"' in client.get("/parc/").text
        page = client.get("/parc/releases")
        assert re.search(
            "waits for a person 25 Apr 2012 Release of 2012-04-25 Bernard go-live of Bretagne fixed line",
            text(page),
        )
        assert "/dags/export_routing/runs/manual__1" in page.text
