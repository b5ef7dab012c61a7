"""The form on the page of routing that says where the calls of a number go."""

from __future__ import annotations

import hmac
import html
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pytest
from fastapi.testclient import TestClient

from parc import privacy, routing
from parc.build import build
from parc.instants import PARIS
from parc.loading import ingest
from parc.numbers import e164
from parc.pseudonyms import is_surrogate
from parc.routing.steering import activation, live_record
from parc.routing.switches.file import FileSwitch
from parc.routing.table.decision import Decision
from parc.settings import Settings
from parc.simulate import simulate
from parc.ui.visitors import Visitor, visitor
from parc.warehouse import connect
from support import charts

DAY = date(2012, 4, 24)
"""Its release takes effect on the day on which Bretagne goes live."""
TEN = datetime(2012, 4, 25, 10, tzinfo=PARIS)
EXCEPTION, FORGOTTEN = "+33144556677", "+33144556688"
NUMBERS = {
    EXCEPTION: ("exception", None),
    "0299120001": ("prefix", "029912"),
    "02 99 13 00 02": ("prefix", "02991"),
    "0298445566": ("prefix", "0298"),
    "0612345678": ("unknown", None),
    "+44 20 7946 0000": ("unknown", None),
}
"""What decides the zone of each, and the prefix."""
FROM_HERE = {"sec-fetch-site": "same-origin"}
TABLES = ("table", "service", "prefix", "exception", "window", "route")
MOST = 20


pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture(scope="module")
def live(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A table with prefixes of four, five and six digits and with exceptions is on the switch."""
    settings = replace(module_warehouse, home=tmp_path_factory.mktemp("home"))  # others do not see its keys
    simulate(DAY, DAY, scale=0.003, seed=7, out=settings.landing)
    for feed in ("numbering_plan", "line_assignments", "active_lines", "boutiques", "calls"):
        ingest(settings, feed, DAY)
    build(settings)
    with connect(settings, "transformer") as connection:
        connection.execute("delete from marts.routing_prefixes where prefix ~ '^029[89]'")
        connection.execute(
            "insert into marts.routing_prefixes (snapshot_date, prefix, zone_code) "
            "select distinct snapshot_date, given.prefix, given.zone_code from marts.routing_prefixes, "
            "(values ('0298', '53'), ('02991', '52'), ('029912', '53')) as given (prefix, zone_code)"
        )
    with connect(settings, "loader") as connection:
        for number in (EXCEPTION, FORGOTTEN):
            connection.execute(
                "insert into routing.line_assignment (number, department_code, reason, valid_from) "
                "values (%s, '35', 'ported', '2012-01-01')",
                [number],
            )
    release(settings)
    return settings


def release(settings: Settings) -> None:
    plan = routing.plan(settings, DAY, bootstrap=True)
    routing.apply(
        settings,
        DAY,
        requested_by="Paul",
        reason="test",
        bootstrap=True,
        approve=plan.plan_hash,
        approved_by="Anne",
    )


@pytest.fixture
def client(live: Settings) -> Iterator[TestClient]:
    """The pages for an engineer who has not asked yet."""
    with connect(live, "admin") as connection:
        connection.execute("truncate ops.number_question")
    yield charts.pages_of(live)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "admin") as connection:
        return connection.execute(query.encode()).fetchall()


def ask(client: TestClient, number: str, **more: Any) -> Any:
    form = {"number": number, "dialled": "3900", "at": f"{TEN:%Y-%m-%dT%H:%M}", **more.pop("form", {})}
    return client.post("/parc/routing/explain", data=form, headers=FROM_HERE | more.pop("headers", {}))


def recorded(settings: Settings, number: str, at: datetime = TEN) -> Decision | None:
    known = pl.select(e164(pl.lit(number))).item()
    with connect(settings, "reader") as connection:
        return routing.explain_recorded(
            settings, connection, known, "3900", at, asked_by=f"{at} {known[-4:]}"
        )


def shown(answer: Any) -> str:
    """The words of a page."""
    return " ".join(
        html.unescape(re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", answer.text)).split()
    )


def questions(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(
        settings, "select asked_by, number_key, zone_code, version from ops.number_question order by 1"
    )


def key(settings: Settings, number: str) -> UUID:
    return UUID(bytes=hmac.digest(settings.pseudonym_secret, number.encode(), "sha256")[:16])


class TestTheAnswer:
    """It is that of the command line, from the live table."""

    @pytest.mark.parametrize("hour", [3, 10, 23])
    @pytest.mark.parametrize("number", NUMBERS)
    def test_it_is_what_the_command_line_says(self, live: Settings, number: str, hour: int) -> None:
        at = TEN.replace(hour=hour)
        expected = routing.explain(live, number, "3900", at, DAY).live
        found = recorded(live, number, at)
        assert expected and found and (found.by, found.prefix) == NUMBERS[number]
        assert expected.table == f"Live table {found.table}"
        assert replace(expected, table=found.table) == found

    def test_before_and_after_all_windows(self, live: Settings) -> None:
        for at in (TEN.replace(year=2011), TEN.replace(year=2013)):
            expected, found = (
                routing.explain(live, "0298445566", "3900", at, DAY).live,
                recorded(live, "0298445566", at),
            )
            assert expected and found and expected.steps == found.steps

    def test_the_page_says_it_in_words(self, live: Settings, client: TestClient) -> None:
        answer = ask(client, "02 99 12 00 01")
        version = routing.status(live).version
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
        said = shown(answer)
        assert "53 , no exception; the longest beginning that the table knows is 029912." in said
        assert "Region Bretagne" in said and "2012-04-25 10:00 , open" in said
        decision = recorded(live, "0299120001")
        assert decision
        total = sum(weight for rank, _, weight in decision.sites if rank == 1)
        for rank, site, weight in decision.sites:
            if rank == 1:
                assert f"{site} {100 * weight / total:.0f}%" in said
        assert f"{version} , effective date 25 Apr 2012, live since" in said
        in_french = shown(ask(client, EXCEPTION, headers={"accept-language": "fr"}))
        assert "ce numéro même est parmi les exceptions." in in_french and "Bretagne" in in_french
        assert "the nation , no exception, and the table knows no beginning" in shown(
            ask(client, "0612345678")
        )

    def test_a_new_release_is_what_is_explained_next(self, live: Settings, client: TestClient) -> None:
        before = routing.status(live).version
        routing.assign(live, "0612345678", "53", requested_by="Paul", reason="test")
        assert (found := recorded(live, "0612345678")) and (found.by, found.zone_code) == ("exception", "53")
        assert found.table == routing.status(live).version != before
        kept = "select version, content_digest from routing.live_table"
        assert rows(live, kept) == rows(
            live, "select version, content_digest from ops.routing_release order by release_id desc limit 1"
        )
        routing.rollback(live, requested_by="Paul", reason="test", to=before)
        assert (found := recorded(live, "0612345678")) and (found.by, found.table) == ("unknown", before)
        routing.release_hold(live, released_by="Paul", reason="test")
        routing.unassign(live, "0612345678", requested_by="Paul", reason="test")

    def test_the_record_equals_the_table(self, live: Settings) -> None:
        """After changes by key as after writing it whole."""
        content = FileSwitch(live.switch).read_live()
        assert content and content.content
        for name, table in {**live_record.TABLES, "exceptions": "live_exception"}.items():
            assert rows(live, f"select count(*) from routing.{table}") == [
                (content.content.frames[name].height,)
            ]

    def test_a_table_that_is_not_recorded_is_not_explained(self, live: Settings, client: TestClient) -> None:
        with connect(live, "admin") as connection:
            connection.execute("update routing.live_table set version = 'an older one'")
        assert "has not recorded the table" in shown(ask(client, EXCEPTION)) and questions(live) == []
        release(live)
        assert "among the exceptions" in shown(ask(client, EXCEPTION))

    def test_after_a_release_that_was_killed_nothing_is_explained(
        self, live: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The switch has its table already, and the warehouse the one before."""

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(activation, "settle", killed)
            routing.assign(live, "0612345670", "53", requested_by="Paul", reason="test")
        assert "has not recorded the table" in shown(ask(client, "0612345670"))
        release(live)
        assert (found := recorded(live, "0612345670")) and found.by == "exception"
        routing.unassign(live, "0612345670", requested_by="Paul", reason="test")


class TestWhoMay:
    """Engineers and approvers, from our own page, by POST, twenty times an hour."""

    def test_rights_of_the_roles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        from parc.ui import visitors
        from parc.ui.auth_manager import OF_AIRFLOW, NamedUsers

        manager = NamedUsers()
        manager.__dict__["roles"] = {role: role for role in OF_AIRFLOW}
        monkeypatch.setattr(visitors, "get_auth_manager", lambda: manager)
        may = {
            role: visitor(SimpleAuthManagerUser(username=role, role=of_airflow)).may_explain
            for role, of_airflow in OF_AIRFLOW.items()
        }
        assert may == {"viewer": False, "engineer": True, "approver": True, "admin": True}

    @pytest.mark.parametrize(
        ("who", "status"),
        [
            (Visitor("vera", may_answer=False), 403),
            (Visitor("emil", may_answer=True), 200),
            (Visitor("anna", may_answer=False, may_approve=True), 200),
        ],
    )
    def test_viewers_have_no_form_and_no_answer(
        self, live: Settings, client: TestClient, who: Visitor, status: int
    ) -> None:
        client = charts.pages_of(live, who)
        answer, page = ask(client, EXCEPTION), client.get("/parc/routing").text
        assert answer.status_code == status
        assert ('action="/parc/routing/explain"' in page) == (status == 200)
        assert [row[:2] for row in questions(live)] == (
            [(who.name, key(live, EXCEPTION))] if status == 200 else []
        )

    def test_logged_out(self, live: Settings) -> None:
        from airflow.api_fastapi.app import init_auth_manager

        from parc.ui.app import app

        init_auth_manager()
        pages = charts.pages_of(live)
        app.dependency_overrides = {Settings.from_env: lambda: live}
        assert ask(TestClient(pages.app), EXCEPTION).status_code == 401

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "", "origin": "http://testserver:8081"},
            {"sec-fetch-site": "", "origin": "null"},
        ],
    )
    def test_forms_of_other_sites_are_refused(
        self, live: Settings, client: TestClient, headers: dict[str, str]
    ) -> None:
        assert ask(client, EXCEPTION, headers=headers).status_code == 403 and questions(live) == []

    def test_only_by_post(self, client: TestClient) -> None:
        for method in ("get", "put", "delete"):
            assert getattr(client, method)("/parc/routing/explain").status_code == 405

    def test_who_asks_too_often_is_told_when_to_try_again(self, live: Settings, client: TestClient) -> None:
        with ThreadPoolExecutor(8) as pool:  # as from several API servers
            statuses = list(pool.map(lambda _: ask(client, "0612345678").status_code, range(MOST + 6)))
        assert sorted(statuses) == [200] * MOST + [429] * 6
        refused = ask(client, EXCEPTION)
        assert refused.status_code == 429 and 3500 < int(refused.headers["retry-after"]) <= 3601
        assert f"You asked about {MOST} numbers in the last hour" in shown(refused)
        assert re.search(r"Try again at \d\d:\d\d:\d\d\.", shown(refused))
        assert len(questions(live)) == MOST
        other = charts.pages_of(live, Visitor("anna", may_answer=False, may_approve=True))
        assert ask(other, EXCEPTION).status_code == 200
        with connect(live, "admin") as connection:
            connection.execute("update ops.number_question set at = at - interval '61 minutes'")
        assert ask(client, EXCEPTION).status_code == 200


class TestTheNumber:
    """It is nowhere but in the body of the form."""

    def test_it_is_not_shown_logged_or_stored(
        self,
        live: Settings,
        server: Settings,
        client: TestClient,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        spelling = "01 44 55 66 77"
        texts = []
        for given in (spelling, EXCEPTION, f"{spelling} x", f"0{spelling}", f"{spelling}\0"):
            for form in ({}, {"at": "1001-01-01T00:00"}, {"at": "soon"}, {"dialled": "no"}):
                answer = ask(client, given, form=form)
                texts += [answer.text, str(answer.headers)]
        warehouse_down = charts.pages_of(replace(live, warehouse_dsn="host=127.0.0.1 port=1 dbname=none"))
        down = ask(warehouse_down, spelling)
        assert down.status_code == 503
        out = capfd.readouterr()
        texts += [down.text, caplog.text, out.out, out.err]
        for text in texts:
            assert "44556677" not in re.sub(r"[\s.\-]", "", text)
        [log] = (server.home / "postgres").glob("*.log")
        assert "44556677" not in log.read_text(errors="replace")
        with connect(live, "admin") as connection:
            tables = connection.execute(
                "select format('%I.%I', schemaname, tablename) from pg_tables "
                "where schemaname = 'ops' or tablename ~ '^live_'"
            ).fetchall()
            for (table,) in tables:
                query = f"select count(*) from {table} as t where t::text ~ '44556677'"
                assert connection.execute(query.encode()).fetchone() == (0,), table

    def test_the_record_of_a_question(self, live: Settings, client: TestClient) -> None:
        ask(client, "01 44 55 66 77")
        version = routing.status(live).version
        assert questions(live) == [("emil", key(live, EXCEPTION), "53", version)]

    @pytest.mark.parametrize(
        ("number", "status", "said"),
        [
            ("anonymous", 200, "This number is withheld."),
            ("", 200, "This number is withheld."),
            ("00 266 696 687", 200, "This number is withheld."),
            ("12", 422, "This is not a telephone number"),
            ("zero", 422, "This is not a telephone number"),
            ("0" * 65, 422, "This is not a telephone number"),
        ],
    )
    def test_what_is_no_number_gets_a_sentence(
        self, live: Settings, client: TestClient, number: str, status: int, said: str
    ) -> None:
        answer = ask(client, number)
        assert answer.status_code == status and said in shown(answer) and questions(live) == []

    def test_forgotten_people_are_in_no_record(self, live: Settings, client: TestClient) -> None:
        assert ask(client, FORGOTTEN).status_code == 200
        held = f"select count(*) from routing.live_exception where number_key = '{key(live, FORGOTTEN)}'"
        assert rows(live, held) == [(1,)]
        privacy.forget(live, numbers=[FORGOTTEN], requested_by="Paul", reason="test")
        assert rows(live, held) == [(0,)]
        [(_, known, _, _)] = questions(live)
        assert is_surrogate(known)
        assert (found := recorded(live, FORGOTTEN)) and found.by != "exception"
        assert all(is_surrogate(known) for _, known, _, _ in questions(live))


def test_the_login_of_the_pages_has_no_right_on_the_tables(
    live: Settings, module_warehouse: Settings
) -> None:
    for role in ("reader", "bi_reader", "maintenance"):
        for table in TABLES:
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                connect(module_warehouse, role) as connection,
            ):
                connection.execute(f"select count(*) from routing.live_{table}".encode())
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connect(module_warehouse, "reader") as connection,
    ):
        connection.execute(
            "insert into ops.number_question (asked_by, number_key, zone_code, version) "
            "values ('x', gen_random_uuid(), '*', 'x')"
        )
    for role in ("bi_reader", "loader", "transformer", "exporter"):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            connect(module_warehouse, role) as connection,
        ):
            connection.execute(
                "select ops.explain_number('x', gen_random_uuid(), 'x', '0299', '3900', now())"
            )


def test_another_key_is_noticed(live: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARC_PSEUDONYM_SECRET", "another-key-of-more-than-32-characters")
    answer = ask(client, EXCEPTION)
    assert answer.status_code == 503 and "is not the key that this warehouse" in shown(answer)
    assert questions(live) == []


def test_a_release_under_another_key_is_not_recorded(
    live: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exceptions would be found under no key of ours, and other rules named in their place."""
    with monkeypatch.context() as patch:
        patch.setenv("PARC_PSEUDONYM_SECRET", "another-key-of-more-than-32-characters")
        routing.assign(live, "0612345679", "53", requested_by="Paul", reason="test")
    assert "has not recorded the table" in shown(ask(client, "0612345679"))
    release(live)
    assert (found := recorded(live, "0612345679")) and found.by == "exception"
    routing.unassign(live, "0612345679", requested_by="Paul", reason="test")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(live: Settings, client: TestClient, scheme: str) -> None:
    with charts.tab(
        client, color_scheme=scheme, viewport={"width": 390, "height": 844}, locale="fr-FR"
    ) as page:
        page.goto("/parc/routing")

        def by_keyboard() -> None:
            page.get_by_label("Numéro qui appelle").focus()
            page.keyboard.type("01 44 55 66 77")
            page.keyboard.press("Enter")
            page.get_by_text("ce numéro même est parmi les exceptions").wait_for()

        looked = charts.look(page, by_keyboard)
        assert (looked.complaints, looked.violations, looked.width) == ([], [], 390)
        assert "44" not in page.url and page.get_by_label("Numéro qui appelle").input_value() == ""


def test_keys_that_were_rotated_are_found(live: Settings, client: TestClient) -> None:
    ask(client, EXCEPTION)
    privacy.rotate(live, requested_by="Paul", reason="test")
    [(_, renewed, _, _)] = questions(live)
    assert renewed != key(live, EXCEPTION)
    assert "among the exceptions" in shown(ask(client, EXCEPTION))
    assert [number_key for _, number_key, _, _ in questions(live)] == [renewed] * 2
