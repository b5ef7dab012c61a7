"""Logins to Airflow over HTTP, by its own routes: who gets which role, and how often one may guess."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from parc.errors import ConfigurationError
from parc.host import users
from parc.settings import Settings
from parc.ui import logins
from parc.ui.cookies import OwnCookie
from parc.ui.logins import FORGET_SECONDS, LONGEST_WAIT_SECONDS, MOST_COUNTS, LoginDelay, Tally

USERS = "name,role\nalice,viewer\nbob,engineer\ncarol,approver\ndave.b,admin\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A platform's home with users; the environment of its API server."""
    home = tmp_path_factory.mktemp("home")
    (home / "airflow_users.csv").write_text(USERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(home / "airflow"))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests, long enough for its digest")
        patch.setenv("AIRFLOW__API__SECRET_KEY", "another secret of the tests")
        patch.setenv("PARC_HOME", str(home))
        yield Settings.from_env()


@pytest.fixture(scope="module")
def manager(settings: Settings) -> Iterator[Any]:
    """The auth manager as the API server makes it."""
    from airflow.api_fastapi import app as airflow
    from airflow.configuration import conf

    from parc.ui.auth_manager import NamedUsers

    before = airflow._AuthManagerState.instance
    airflow._AuthManagerState.instance = made = NamedUsers()
    made.init()
    yield made
    airflow._AuthManagerState.instance = before
    for option in ("simple_auth_manager_users", "simple_auth_manager_passwords_file"):
        conf.remove_option("core", option, remove_default=False)


@pytest.fixture
def server(manager: Any) -> Iterator[SimpleNamespace]:
    """Airflow's login routes behind the delay, on loopback, with a clock that a test moves."""
    import uvicorn

    now = [1000.0]
    app = FastAPI()
    app.add_middleware(LoginDelay, clock=lambda: now[0])
    app.mount("/auth", manager.get_fastapi_app())
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", now=now)
        running.should_exit = True
        thread.join()


@contextmanager
def browser(server: SimpleNamespace, address: str = "127.0.0.1") -> Iterator[Callable[..., httpx.Response]]:
    """Log in from an address, and keep cookies."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(transport=transport, base_url=server.url, trust_env=False) as client:

        def log_in(name: str, password: str, path: str = "/auth/token", **how: Any) -> httpx.Response:
            given = how or {"json": {"username": name, "password": password}}
            return client.post(path, **given)

        yield log_in


def guess(log_in: Callable[..., httpx.Response], name: str, times: int) -> list[int]:
    return [log_in(name, "a guess").status_code for _ in range(times)]


def test_each_user_logs_in_with_their_own_password(server, settings: Settings) -> None:
    secrets = {name: users.password(settings, name) for name in users.roles(settings)}
    assert list(secrets) == ["admin", "alice", "bob", "carol", "dave.b"]
    assert len(set(secrets.values())) == 5
    assert (settings.home / "secrets" / "airflow_alice_password").stat().st_mode & 0o777 == 0o600
    with browser(server) as log_in:
        assert {log_in(name, secret).status_code for name, secret in secrets.items()} == {201}
        assert log_in("alice", secrets["bob"]).status_code == 401


def test_what_each_role_may_do(server, settings: Settings, manager) -> None:
    """By the token that its login gives, as Airflow asks before each request."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    may: dict[str, list[str]] = {}
    with browser(server) as log_in:
        for name in users.roles(settings):
            token = log_in(name, users.password(settings, name)).json()["access_token"]
            user = manager.deserialize_user(manager._get_token_validator().validated_claims(token))
            run, answer = DagAccessEntity.RUN, DagAccessEntity.HITL_DETAIL
            found = {
                "see": manager.is_authorized_dag(method="GET", access_entity=run, user=user),
                "run": manager.is_authorized_dag(method="POST", access_entity=run, user=user),
                "clear": manager.is_authorized_dag(
                    method="PUT", access_entity=DagAccessEntity.TASK_INSTANCE, user=user
                ),
                "answer": manager.is_authorized_dag(method="PUT", access_entity=answer, user=user),
                "read questions": manager.is_authorized_dag(method="GET", access_entity=answer, user=user),
                "variables": manager.is_authorized_variable(method="PUT", user=user),
            }
            may[name] = [what for what, is_so in found.items() if is_so]
    assert may == {
        "admin": ["see", "run", "clear", "answer", "read questions", "variables"],
        "alice": ["see", "read questions"],
        "bob": ["see", "run", "clear", "read questions"],
        "carol": ["see", "answer", "read questions"],
        "dave.b": ["see", "run", "clear", "answer", "read questions", "variables"],
    }


def test_a_token_has_the_current_rights_of_its_user(manager) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    for name in ("alice", "somebody who left"):
        user = manager.deserialize_user({"sub": name, "role": "admin"})
        assert not manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, user=user)
        assert manager.is_authorized_dag(method="GET", user=user) == (name == "alice")


def test_attempts_are_delayed_after_five_failures(server, settings: Settings) -> None:
    with browser(server) as log_in:
        assert guess(log_in, "bob", 7) == [401] * 5 + [429] * 2
        refused = log_in("bob", users.password(settings, "bob"))
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        assert refused.json() == {"detail": "Too many failed logins. Try again in 1 s."}
        waits = []
        for _ in range(8):
            server.now[0] += float(log_in("bob", "a guess").headers["retry-after"])
            assert log_in("bob", "a guess").status_code == 401
            waits.append(int(log_in("bob", "a guess").headers["retry-after"]))
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60] and max(waits) == LONGEST_WAIT_SECONDS
        server.now[0] += LONGEST_WAIT_SECONDS
        assert log_in("bob", users.password(settings, "bob")).status_code == 201
    with browser(server) as another:
        assert guess(another, "bob", 5) == [401] * 5, "a successful login resets the count"


def test_guesses_from_another_address_do_not_delay_the_user(server, settings: Settings) -> None:
    secret = users.password(settings, "carol")
    with browser(server) as person, browser(server, "127.0.0.2") as guesser:
        assert person("carol", secret).status_code == 201
        for _ in range(20):
            guess(guesser, "carol", 3)
            server.now[0] += 1
        assert guess(guesser, "carol", 1) == [429]
        assert person("carol", secret).status_code == 201
        guess(guesser, "carol", 5)  # also from the person's own address, as behind one proxy
        with browser(server) as neighbour:
            assert neighbour("carol", "a guess").status_code == 429
        assert person("carol", secret).status_code == 201
        assert guess(person, "carol", 6) == [401] * 5 + [429], "a stolen mark guesses no faster"


def test_a_device_cookie_is_valid_for_its_name_and_unforgeable(server, settings: Settings) -> None:
    with browser(server, "127.0.0.3") as guesser:
        assert guess(guesser, "carol", 6)[-1] == 429
    with browser(server) as log_in:
        assert log_in("alice", users.password(settings, "alice")).status_code == 201
        assert log_in("carol", "a guess").status_code == 429
    for cookie in (f"{logins.COOKIE}=0.{'0' * 64}", f"{logins.COOKIE}=.", f"{logins.COOKIE}=", "a;b=;;"):
        with browser(server) as log_in:
            answer = log_in(
                "carol", "", headers={"cookie": cookie}, json={"username": "carol", "password": "a guess"}
            )
            assert answer.status_code == 429, cookie


def test_an_address_that_tries_many_names_is_delayed(server) -> None:
    with browser(server, "127.0.0.4") as guesser, browser(server) as another:
        assert [guesser(f"name{n}", "a guess").status_code for n in range(22)] == [401] * 20 + [429] * 2
        assert another("name0", "a guess").status_code == 401


def test_concurrent_attempts_gain_nothing(server) -> None:
    reported: list[int] = []
    with browser(server) as log_in:
        threads = [
            threading.Thread(target=lambda: reported.append(log_in("bob", "a guess").status_code))
            for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(reported) == [401] * 5 + [429] * 25


@pytest.mark.parametrize(
    "how",
    [
        {"data": {"username": "bob", "password": "a guess"}},
        {"path": "/auth/token/cli", "json": {"username": "bob", "password": "a guess"}},
        {"json": {"username": "bob", "password": "a guess"}, "headers": {"cookie": "x" * 3000}},
        # Read as JSON it names no user; read as a form, which it is sent as, it names bob.
        {
            "content": json.dumps({"a": "&username=bob&password=guess&b="}),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
    ],
)
def test_a_name_is_counted_in_any_request_format(server, how: dict[str, Any]) -> None:
    with browser(server) as log_in:
        reported = [log_in("", "", **how).status_code for _ in range(6)]
    assert reported == [401] * 5 + [429]


def test_other_requests_are_not_counted(server, settings: Settings) -> None:
    with browser(server) as log_in:
        for _ in range(30):
            assert log_in("bob", "").status_code == 400
            assert log_in("", "", json={"name": "bob"}).status_code == 422
        assert log_in("bob", "x" * 10_000).status_code == 413
        assert log_in("bob", users.password(settings, "bob")).status_code == 201


def test_memory_is_bounded_and_old_failures_are_forgotten() -> None:
    now = [0.0]
    tally = Tally(lambda: now[0])
    keys = [("name", "bob")]
    for number in range(3 * MOST_COUNTS):
        tally.begin([("name", str(number))])
        if number % 100 == 0:
            tally.begin(keys)
    assert len(tally) == MOST_COUNTS
    assert tally.wait(keys) == LONGEST_WAIT_SECONDS, "what goes on is not what is dropped"
    now[0] += FORGET_SECONDS + 1
    tally.begin(keys)
    assert tally.wait(keys) == 0


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("alice,viewer\n", "first line must be name,role"),
        ("name,role\nalice,director\n", "line 2: the role of alice must be one of viewer, engineer"),
        ("name,role\nalice\n", "line 2: the role of alice"),
        ("name,role\nAlice,viewer\n", "line 2: a name is of small letters"),
        ("name,role\n../alice,viewer\n", "line 2: a name"),
        ("name,role\na:admin,viewer\n", "line 2: a name"),
        ("name,role\nalice,viewer\nbob,viewer\nalice,admin\n", "line 4: alice has a role already"),
        ("name,role\nadmin,viewer\n", "line 2: admin has a role already"),
    ],
)
def test_a_users_file_that_is_wrong_is_reported_by_line(text: str, reported: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, landing="/landing", switch="/switch")
    users.keep_logins(settings)
    before = users.logins_file(settings).read_text()
    users.users_file(settings).write_text(text)
    with pytest.raises(ConfigurationError, match=reported):
        users.keep_logins(settings)
    assert users.logins_file(settings).read_text() == before


def test_removed_users_lose_their_login(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    settings = Settings(home=tmp_path, landing="/landing", switch="/switch", airflow_users=file)
    with pytest.raises(ConfigurationError, match=r"users\.csv cannot be read"):
        users.keep_logins(settings)
    file.write_text(USERS)
    users.keep_logins(settings)
    file.write_text("name,role\nbob,viewer\n")
    users.keep_logins(settings)
    assert list(json.loads(users.logins_file(settings).read_text())) == ["admin", "bob"]


def test_two_platforms_in_one_browser_keep_their_logins(manager) -> None:
    """The login page of each sets the same cookie; cookies do not know ports."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    def platform(port: int, is_own: Callable[[str], Any]) -> TestClient:
        app = FastAPI()

        @app.get("/")
        def token(request: Request) -> str | None:
            return request.cookies.get("_token")

        @app.get("/logout")
        def log_out(response: Response) -> None:
            response.delete_cookie("_token")

        app.add_middleware(OwnCookie, port=port, is_own=is_own)
        return TestClient(app)

    async def is_of_other(token: str) -> bool:
        return token == "of the other"

    ours, other = platform(8080, manager.has_signed), platform(8081, is_of_other)
    browser = other._cookies = ours.cookies
    token = manager.generate_jwt(SimpleAuthManagerUser(username="alice", role="viewer"))
    assert ours.get("/").json() is None
    browser.set("_token", token, path="/", domain="testserver.local")  # as the login page does
    assert other.get("/").json() is None, "another platform's token is none"
    assert ours.get("/").json() == token and "_token" not in browser
    browser.set("_token", "of the other", path="/", domain="testserver.local")
    assert ours.get("/").json() == token
    assert other.get("/").json() == "of the other" and "_token" not in browser
    ours.get("/logout")
    assert (ours.get("/").json(), other.get("/").json()) == (None, "of the other")
