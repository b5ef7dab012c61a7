"""The landing zone on disk, in an S3 store and on an SFTP server: real servers, the same behaviour."""

from __future__ import annotations

import errno
import getpass
import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import moto.settings
import polars as pl
import psutil
import pytest
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from parc import nightly, storage
from parc.errors import ConfigurationError, DeliveryRefused
from parc.loading import has_arrived, ingest, landing, replay, strays, unseen
from parc.loading.landing import COPIES
from parc.settings import Settings
from support.command_line import parc
from support.deliveries import DAY, as_csv, counts, ledger, legs, query, raw_tables

BUCKET = "zone"
FOLDER = f"calls/date={DAY}"
ACCOUNT = "123456789012"
SECRET = "a-secret-of-the-store"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass(frozen=True)
class Zone:
    """A landing zone, and how its suppliers access it, which differs from how the platform does."""

    settings: Settings
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    age: Callable[[str, timedelta], None]
    files: Callable[[], dict[str, bytes]]
    here: Path | None = None
    """Where it is, on disk and over SFTP."""

    def deliver(self, **files: bytes) -> None:
        """Data files (`__` for the dot of their names), then a control file that names them."""
        named = {name.replace("__", "."): content for name, content in files.items()}
        for name, content in named.items():
            self.put(name, content)
        self.put("_CONTROL.json", control(**named))

    @property
    def found(self) -> list[date]:
        return [day for feed, day in unseen(self.settings, DAY, DAY) if feed == "calls"]

    @property
    def copies(self) -> list[Path]:
        return [path for path in (self.settings.home / COPIES).rglob("*") if path.is_file()]


def control(rows: int | None = None, **files: bytes) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"rows": rows, "sha256": digests}).encode()


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    text = pl.DataFrame(rows).with_columns(pl.all().replace("", None))
    stream = BytesIO()
    text.write_parquet(stream)
    return stream.getvalue()


def zone_on_disk(settings: Settings, folder: Path) -> Zone:
    here = folder / FOLDER
    here.mkdir(parents=True)

    def age(name: str, by: timedelta) -> None:
        then = time.time() - by.total_seconds()
        os.utime(here / name, (then, then))

    def put(name: str, content: bytes) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)

    return Zone(
        settings,
        put=put,
        remove=lambda name: (here / name).unlink(),
        age=age,
        files=lambda: {path.name: path.read_bytes() for path in here.iterdir()},
        here=here,
    )


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client(service: str, endpoint: str) -> Any:
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture
def s3(s3_server: str, warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "supplier")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = client("s3", s3_server)
    store.create_bucket(Bucket=BUCKET)

    def held() -> dict[str, Any]:
        keys = s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys
        return {name.rpartition("/")[2]: key for name, key in keys.items()}

    def age(name: str, by: timedelta) -> None:
        held()[name].last_modified -= by

    yield Zone(
        replace(warehouse, landing=f"s3://{BUCKET}/landing"),
        put=lambda name, content: (
            store.put_object(Bucket=BUCKET, Key=f"landing/{FOLDER}/{name}", Body=content) and None
        ),
        remove=lambda name: store.delete_object(Bucket=BUCKET, Key=f"landing/{FOLDER}/{name}") and None,
        age=age,
        files=lambda: {name: key.value for name, key in held().items()},
    )
    s3_backends[ACCOUNT]["aws"].reset()


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Debian's sshd on loopback, for this user and one key, SFTP alone and only to read."""
    if SSHD is None:
        pytest.skip("openssh-server is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp -R\nForceCommand internal-sftp -R\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=(folder / "log").open("w"))
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    else:
        pytest.fail((folder / "log").read_text())
    yield SimpleNamespace(port=port, folder=folder, pid=process.pid)
    process.terminate()
    process.wait()


def know(host_key: Path, port: int, known_hosts: Path) -> None:
    key = host_key.with_suffix(".pub").read_text()
    known_hosts.write_text(f"[127.0.0.1]:{port} {key}")


@pytest.fixture
def sftp(
    sftp_server: SimpleNamespace, warehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Zone:
    know(sftp_server.folder / "host", sftp_server.port, tmp_path / "known_hosts")
    monkeypatch.setenv("PARC_SFTP_KNOWN_HOSTS", str(tmp_path / "known_hosts"))
    monkeypatch.setenv("PARC_SFTP_KEY_FILE", str(sftp_server.folder / "user"))
    monkeypatch.setenv("HOME", str(tmp_path))  # no keys of whoever runs the tests
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    url = f"sftp://{getpass.getuser()}@127.0.0.1:{sftp_server.port}{tmp_path}/remote"
    return zone_on_disk(replace(warehouse, landing=url), tmp_path / "remote")


@pytest.fixture
def disk(warehouse: Settings) -> Zone:
    return zone_on_disk(warehouse, Path(warehouse.landing))


@pytest.fixture(params=["disk", "s3", "sftp"])
def zone(request: pytest.FixtureRequest) -> Zone:
    found: Zone = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["s3", "sftp"])
def remote(request: pytest.FixtureRequest) -> Zone:
    found: Zone = request.getfixturevalue(request.param)
    return found


def test_a_delivery_is_loaded_in_place(zone: Zone) -> None:
    settings = zone.settings
    plain, packed = as_csv(legs(100)), gzip.compress(as_csv(legs(100, first=100)))
    table = as_parquet(legs(100, first=200))
    zone.deliver(a__csv=plain, b__csv__gz=packed, c__parquet=table)
    before = zone.files()
    assert has_arrived(settings, "calls", DAY) and zone.found == [DAY]

    assert counts(ingest(settings, "calls", DAY)) == ("published", 300, 300, 0)
    assert zone.files() == before and zone.copies == []
    [(files,)] = query(settings, "select files from ops.delivery")
    assert [(file["uri"], file["sha256"], file["bytes"]) for file in files] == [
        (
            f"{settings.landing}/{FOLDER}/{name}",
            hashlib.sha256(before[name]).hexdigest(),
            len(before[name]),
        )
        for name in ("a.csv", "b.csv.gz", "c.parquet")
    ]
    assert zone.found == []
    assert ingest(settings, "calls", DAY).status == "unchanged"

    zone.remove("c.parquet")
    zone.deliver(a__csv=plain, b__csv__gz=packed)
    assert zone.found == [DAY]
    restated = ingest(settings, "calls", DAY)
    assert counts(restated) == ("published", 200, 200, 0)
    assert restated.message.endswith("replaces delivery 1: 0 rows added, 100 removed, 0 altered")

    assert counts(replay(settings, restated.delivery_id or 0)) == ("published", 200, 200, 0)
    zone.remove("a.csv")
    with pytest.raises(DeliveryRefused, match=rf"{settings.landing}/{FOLDER}/a\.csv, .* no longer exists"):
        replay(settings, 3)
    zone.remove("b.csv.gz")
    assert ingest(settings, "calls", DAY).status == "missing" and zone.found == []
    with storage.opened(settings.landing) as folder:
        assert folder.entries("calls/date=2012-04-26") == folder.entries("no_such_feed") == []


def test_an_incomplete_delivery_is_left_until_it_is_complete(
    zone: Zone, caplog: pytest.LogCaptureFixture
) -> None:
    """Upload step by step, as clients do: each look says what it is waiting for."""
    caplog.set_level("INFO")
    settings, data, more = zone.settings, as_csv(legs(50)), as_csv(legs(50, first=50))

    def is_left(because: str) -> None:
        caplog.clear()
        assert zone.found == []
        assert because in caplog.text
        outcome = ingest(settings, "calls", DAY, complete_only=True)
        assert outcome.status == "missing" and because in outcome.message
        assert ledger(settings) == []

    zone.put("calls.csv", data)
    assert not has_arrived(settings, "calls", DAY)
    is_left("and no control file after it")
    zone.age("calls.csv", timedelta(minutes=-3))
    is_left("and no control file after it")  # the server's clock is ahead of ours
    zone.age("calls.csv", timedelta(minutes=20))
    assert has_arrived(settings, "calls", DAY) and zone.found == [DAY]

    zone.put("more.csv.filepart", more[:1000])
    is_left("more.csv.filepart is on its way")
    zone.age("more.csv.filepart", timedelta(hours=2))
    assert zone.found == [DAY], "it broke off long ago"
    zone.put(".more.csv.x7Yq", more[:1000])
    is_left(".more.csv.x7Yq is on its way")
    zone.remove(".more.csv.x7Yq")
    zone.remove("more.csv.filepart")

    whole = control(**{"calls.csv": data, "more.csv": more})
    zone.put("_CONTROL.json", whole[:30])
    is_left("_CONTROL.json cannot be read")
    zone.put("_CONTROL.json", whole)
    is_left("_CONTROL.json names more.csv, not there yet")
    zone.age("_CONTROL.json", timedelta(minutes=10))
    zone.put("more.csv", more[:1000])
    is_left("and no control file after it")
    zone.put("more.csv", more)
    zone.age("more.csv", timedelta(minutes=6))
    assert has_arrived(settings, "calls", DAY) and zone.found == [DAY]
    assert counts(ingest(settings, "calls", DAY, complete_only=True)) == ("published", 100, 100, 0)


def test_a_control_file_that_never_matches_is_reported(zone: Zone) -> None:
    zone.put("calls.csv", as_csv(legs(50)))
    zone.put("_CONTROL.json", control(**{"calls.csv.gz": b""}))
    assert zone.found == []
    for name in ("calls.csv", "_CONTROL.json"):
        zone.age(name, timedelta(hours=2))
    assert zone.found == [DAY]
    outcome = ingest(zone.settings, "calls", DAY, complete_only=True)
    assert outcome.status == "refused" and "names calls.csv.gz, which is not there" in outcome.message
    assert zone.found == []


def test_a_file_growing_during_the_copy_is_refused_and_retried(
    remote: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = as_csv(legs(60))
    remote.put("calls.csv", whole[:3000].rpartition(b"\n")[0] + b"\n")
    remote.age("calls.csv", timedelta(minutes=20))
    copy = storage.Folder.copy

    def grows_meanwhile(folder: storage.Folder, relative: str, target: Path) -> None:
        copy(folder, relative, target)
        remote.put("calls.csv", whole)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Folder, "copy", grows_meanwhile)
        outcome = ingest(remote.settings, "calls", DAY)
    assert outcome.status == "refused" and "calls.csv was written to while it was read" in outcome.message
    assert remote.copies == []
    remote.age("calls.csv", timedelta(minutes=6))
    assert remote.found == [DAY]
    assert counts(ingest(remote.settings, "calls", DAY)) == ("published", 60, 60, 0)


@pytest.fixture(params=["disk", "sftp"])
def with_links(request: pytest.FixtureRequest) -> tuple[Zone, Path]:
    """A landing zone that may hold links, and the folder of a delivery there."""
    found: Zone = request.getfixturevalue(request.param)
    assert found.here
    return found, found.here


def loaded(zone: Zone) -> tuple[str, int, int, int]:
    return counts(ingest(zone.settings, "calls", DAY))


def test_control_files_as_windows_and_macos_write_them(zone: Zone) -> None:
    composed, decomposed = "appels_\u00e9t\u00e9.csv", "appels_e\u0301te\u0301.csv"
    stated = {"rows": 50, "sha256": {composed: hashlib.sha256(as_csv(legs(50))).hexdigest().upper()}}
    zone.put(decomposed, as_csv(legs(50)))
    for content in (
        json.dumps(stated).encode("utf-8-sig"),
        json.dumps(stated).encode("utf-16"),
        json.dumps(stated, ensure_ascii=False).encode(),
    ):
        zone.put("_CONTROL.json", content)
        assert loaded(zone)[0] in ("published", "unchanged")
    zone.put("_CONTROL.json", json.dumps(stated | {"rows": 51}).encode("utf-8-sig"))
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "refused" and "says 51 rows, the files hold 50" in outcome.message
    zone.remove("_CONTROL.json")
    zone.put("_Control.json", json.dumps(stated).encode())
    assert loaded(zone)[0] == "unchanged"

    zone.put("_CONTROL.json", json.dumps(stated).encode("utf-8-sig"))
    assert loaded(zone)[0] == "unchanged", "two that say the same"
    zone.put("_CONTROL.json", json.dumps({"rows": 49}).encode())
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "refused"
    assert "more than one control file, and they differ: _CONTROL.json and _Control.json" in outcome.message


def test_a_control_file_may_name_files_that_are_not_data(zone: Zone) -> None:
    zone.put("calls.csv", as_csv(legs(50)))
    zone.put("calls.txt", b"")
    zone.put("part.csv/0.csv", as_csv(legs(50)))
    for name in ("calls.txt", "part.csv"):
        zone.put("_CONTROL.json", control(**{name: b""}))
        outcome = ingest(zone.settings, "calls", DAY)
        assert outcome.status == "refused"
        assert f"names {name}, which is there but is not a data file" in outcome.message
        assert zone.found == []


def test_extra_files_are_reported_unless_they_are_companions(zone: Zone) -> None:
    beside = ("hour=12/b.csv", "part.csv/0.csv", "notes.txt", "_SUCCESS", "._calls.csv", ".calls.csv.crc")
    for name in beside:
        zone.put(name, b"not for us")
    nothing = ingest(zone.settings, "calls", DAY)
    assert nothing.status == "missing"
    zone.put("calls.csv", as_csv(legs(50)))
    for name in ("calls.csv", "._calls.csv", ".calls.csv.crc"):
        zone.age(name, timedelta(minutes=6))
    assert zone.found == [DAY], "a companion is no upload on its way"
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "published"
    reported = [
        "hour=12/ is a folder and was ignored",
        "notes.txt is not a data file and was ignored",
        "part.csv/ is a folder and was ignored",
    ]
    assert outcome.warnings[:3] == reported and nothing.message.endswith("; ".join(reported))


def test_a_restatement_is_found_whatever_its_mtime(zone: Zone) -> None:
    """Of the same size and written before the first was loaded, as `rsync -t` and `put -p` leave it."""
    first = as_csv(legs(50))
    zone.put("calls.csv", first)
    zone.age("calls.csv", timedelta(hours=2))
    assert loaded(zone)[0] == "published" and zone.found == []
    zone.put("calls.csv", first.replace(b"RENNES", b"NANTES"))
    zone.age("calls.csv", timedelta(hours=3))
    assert zone.found == [DAY]
    assert loaded(zone)[0] == "published" and zone.found == []
    zone.put("_CONTROL.json", b"{}")
    zone.age("_CONTROL.json", timedelta(hours=4))
    assert zone.found == [DAY]


def test_links_are_followed_within_the_landing_zone(with_links: tuple[Zone, Path], tmp_path: Path) -> None:
    zone, here = with_links
    zone.put("a.csv", as_csv(legs(50)))
    spool = here.parents[1] / "spool"
    spool.mkdir()
    (spool / "b.csv").write_bytes(as_csv(legs(50, first=50)))
    (spool / "said.json").write_bytes(control(rows=100))
    (here / "b.csv").symlink_to(spool / "b.csv")
    (here / "_CONTROL.json").symlink_to("../../spool/said.json")
    assert loaded(zone) == ("published", 100, 100, 0)
    assert zone.found == []
    (spool / "said.json").write_bytes(control(rows=99))
    assert zone.found == [DAY]
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "refused" and "says 99 rows, the files hold 100" in outcome.message


def test_a_whole_day_or_feed_may_be_a_link(with_links: tuple[Zone, Path], tmp_path: Path) -> None:
    """That of a day within the landing zone, that of a feed to wherever the operator keeps it."""
    zone, here = with_links
    zone.put("a.csv", as_csv(legs(50)))
    zone.age("a.csv", timedelta(hours=2))
    here.rename(here.with_name("uploaded"))
    here.symlink_to("uploaded")
    assert zone.found == [DAY]
    here.parent.rename(tmp_path / "another_disk")
    here.parent.symlink_to(tmp_path / "another_disk")
    assert zone.found == [DAY]
    assert loaded(zone) == ("published", 50, 50, 0)


def test_outward_and_dangling_links_are_refused_and_reported(
    with_links: tuple[Zone, Path], tmp_path: Path
) -> None:
    zone, here = with_links
    (tmp_path / "secret.csv").write_bytes(as_csv(legs(50)))
    (tmp_path / "notes.txt").write_bytes(b"")
    zone.put("a.csv", as_csv(legs(50)))
    (here / "more.txt").symlink_to(tmp_path / "notes.txt")
    (here / "less.txt").symlink_to("nowhere")
    for name, target, reported in (
        ("b.csv", tmp_path / "secret.csv", "b.csv is a link to a place outside the landing zone"),
        ("b.csv", "nowhere", "b.csv is a link to a file that is missing"),
        ("b.csv", "b.csv", "b.csv is a link to a file that is missing"),
        ("_CONTROL.json", "nowhere", "_CONTROL.json is a link to a file that is missing"),
    ):
        (here / name).symlink_to(target)
        outcome = ingest(zone.settings, "calls", DAY)
        assert outcome.status == "refused" and reported in outcome.message
        assert outcome.warnings == [
            "less.txt is a link to nothing and was ignored",
            "more.txt is a link to a place outside the landing zone and was ignored",
        ]
        (here / name).unlink()
    here.rename(tmp_path / "elsewhere")
    here.symlink_to(tmp_path / "elsewhere")
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "refused"
    assert f"calls/date={DAY} is a link to a place outside the landing zone" in outcome.message


@pytest.mark.parametrize("target", [f"date={DAY}", "nowhere", "x.csv/y", "a" * 300])
def test_dangling_links_for_dates_and_feeds_are_reported(with_links: tuple[Zone, Path], target: str) -> None:
    zone, here = with_links
    zone.put("a.csv", as_csv(legs(50)))
    zone.age("a.csv", timedelta(hours=2))
    (here.parent / "x.csv").touch()
    links = ("calls/date=2012-04-20", "calls/date=2012-04-21", "boutiques")
    for link in links:
        (here.parents[1] / link).symlink_to(target.replace(str(DAY), "2012-04-20"))
    found = unseen(zone.settings, DAY - timedelta(days=30), DAY)
    assert ("calls", DAY) in found
    for feed, day in found:
        assert ingest(zone.settings, feed, day).status == ("published" if day == DAY else "refused")
    assert {stray.place for stray in strays(zone.settings)} == {*links, "calls/x.csv"}


def test_non_utf8_names_are_read_and_shown_with_replacement_characters(
    with_links: tuple[Zone, Path],
) -> None:
    zone, here = with_links
    for name, content in (
        (b"appels_\xe9t\xe9.csv", as_csv(legs(50))),
        (b"appels_\xe8t\xe8.csv", as_csv(legs(50, first=50))),
        (b"relev\xe9.pdf", b""),
    ):
        (here / os.fsdecode(name)).write_bytes(content)
        os.utime(here / os.fsdecode(name), (time.time() - 3600,) * 2)
    assert zone.found == [DAY]
    outcome = ingest(zone.settings, "calls", DAY)
    assert counts(outcome) == ("published", 100, 100, 0)
    assert outcome.warnings[0] == "relev\ufffd.pdf is not a data file and was ignored"
    [(names,)] = query(zone.settings, "select jsonb_path_query_array(files, '$[*].name') from ops.delivery")
    assert names == ["appels_\ufffdt\ufffd.csv"] * 2
    assert zone.found == [] and zone.copies == []
    assert counts(replay(zone.settings, outcome.delivery_id or 0)) == ("published", 100, 100, 0)


def test_no_name_shows_a_telephone_number_or_breaks_a_line(with_links: tuple[Zone, Path]) -> None:
    zone, _ = with_links
    broken = as_csv(legs(50)).replace(b"call_id", b"who", 1)
    zone.put("appels du 02 99 12 00 01\nbis.csv", broken)
    zone.put("+33299120001.txt", b"")
    outcome = ingest(zone.settings, "calls", DAY)
    assert outcome.status == "refused" and "appels du ***\ufffdbis.csv" in outcome.message
    assert outcome.warnings == ["***.txt is not a data file and was ignored"]
    [(kept,)] = query(zone.settings, "select to_jsonb(delivery)::text from ops.delivery")
    assert "12 00 01" not in kept and "299120001" not in kept and zone.found == []


def test_an_unreadable_file_refuses_only_its_delivery(disk: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    disk.put("calls.csv", as_csv(legs(50)))
    with monkeypatch.context() as patch:
        patch.setattr(landing, "_delivered", denied)
        outcome = ingest(disk.settings, "calls", DAY)
    assert outcome.status == "refused" and "calls.csv cannot be read: permission denied" in outcome.message
    entries = storage.Folder.entries

    def some_denied(folder: storage.Folder, relative: str = "") -> list[storage.Entry]:
        return denied() if relative == FOLDER else entries(folder, relative)

    monkeypatch.setattr(storage.Folder, "entries", some_denied)
    assert disk.found == [DAY]
    outcome = ingest(disk.settings, "calls", DAY)
    assert outcome.status == "refused" and f"{FOLDER} cannot be read: permission denied" in outcome.message
    assert disk.found == []
    monkeypatch.setattr(storage.Folder, "entries", denied)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ingest(disk.settings, "calls", DAY)


def test_a_file_where_a_folder_should_be_is_reported(disk: Zone) -> None:
    assert disk.here
    disk.here.rmdir()
    disk.here.touch()
    outcome = ingest(disk.settings, "calls", DAY)
    assert outcome.status == "missing"
    assert outcome.message.endswith(f"; {FOLDER} is a file where a folder should be")


def test_a_night_on_s3_publishes_complete_deliveries(s3: Zone) -> None:
    s3.deliver(calls__csv=as_csv(legs(200)))
    night = nightly.NightRun(DAY)
    nightly._ingest(s3.settings, night, nightly._Watch(night, lambda _: None))
    assert {(each.feed, each.status) for each in night.outcomes if each.rows_read} == {("calls", "published")}


def fails(settings: Settings, *reported: str, secrets: tuple[str, ...] = (SECRET,)) -> str:
    """Every entry point fails with one line that names the URL, contains no secret, and leaves nothing
    behind."""
    text = ""
    for look in (
        lambda: ingest(settings, "calls", DAY),
        lambda: unseen(settings, DAY, DAY),
    ):
        with pytest.raises(ConfigurationError) as caught:
            look()
        text = str(caught.value)
        assert text.startswith(settings.landing) and "\n" not in caught.value.text and len(text) < 500, text
        for part in reported:
            assert part in text
        assert not any(secret in text for secret in secrets)
    assert ledger(settings) == [] and raw_tables(settings) == []
    assert not any(path.is_file() for path in (settings.home / COPIES).rglob("*"))
    return text


@contextmanager
def door(port: int | None, let_through: int) -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that passes this many bytes of a server's answers and then hangs up; without a server, it
    accepts every connection and stays silent."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def pump(source: socket.socket, target: socket.socket, limit: float) -> None:
            with suppress(OSError), source, target:
                while limit > 0 and (data := source.recv(min(65536, int(min(limit, 1e9))))):
                    target.sendall(data)
                    limit -= len(data)
                for end in (source, target):
                    end.shutdown(socket.SHUT_RDWR)

        def take() -> None:
            with suppress(OSError):
                while True:
                    inside, _ = listening.accept()
                    taken.append(inside)
                    if port:
                        server = socket.create_connection(("127.0.0.1", port))
                        for args in ((server, inside, let_through), (inside, server, float("inf"))):
                            threading.Thread(target=pump, args=args, daemon=True).start()

        threading.Thread(target=take, daemon=True).start()
        yield listening.getsockname()[1], taken
        listening.shutdown(socket.SHUT_RDWR)
    for each in taken:
        each.close()


@pytest.fixture
def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def test_an_unreachable_store(s3: Zone, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    fails(s3.settings, "Could not connect to server", "check that the server is up")


def test_a_silent_store(s3: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "WAIT_SECONDS", 1.0)
    monkeypatch.setattr(storage, "TRIES", 1)
    with door(None, 0) as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        fails(s3.settings, "Timeout was reached", "try again")


def test_a_store_that_disconnects_during_a_file(
    s3: Zone, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("calls.csv", as_csv(legs(5_000)))
    with door(int(s3_server.rpartition(":")[2]), 200_000) as (port, taken):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(ConfigurationError) as caught:
            ingest(s3.settings, "calls", DAY)
        assert len(taken) < 10, "no storm of tries"
    assert str(caught.value).startswith(f"{s3.settings.landing}/{FOLDER}/calls.csv cannot be read: ")
    assert ledger(s3.settings) == [] and s3.copies == []


def test_a_missing_bucket_is_an_error(s3: Zone) -> None:
    fails(replace(s3.settings, landing="s3://other/landing"), "bucket does not exist")
    assert unseen(replace(s3.settings, landing=f"s3://{BUCKET}/empty"), DAY, DAY) == []


def test_unknown_or_unauthorised_store_keys_are_reported(
    s3: Zone, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.deliver(calls__csv=as_csv(legs(50)))
    users, keys = client("iam", s3_server), {}
    for name in ("nobody", "reader"):
        users.create_user(UserName=name)
        keys[name] = users.create_access_key(UserName=name)["AccessKey"]
    rights = [{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": rights})
    users.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=document)
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)

    fails(s3.settings, "INVALID_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["nobody"]["AccessKeyId"])
    fails(s3.settings, "AWS_ACCESS_KEY_ID")
    secret = keys["nobody"]["SecretAccessKey"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    fails(s3.settings, "ACCESS_DENIED", "list and read", secrets=(secret,))

    for variable, part in (
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
    ):
        monkeypatch.setenv(variable, keys["reader"][part])
    assert ingest(s3.settings, "calls", DAY).status == "published"
    everything = str(query(s3.settings, "select to_jsonb(delivery) from ops.delivery"))
    assert not any(keys["reader"][part] in everything for part in ("AccessKeyId", "SecretAccessKey"))


def at_port(settings: Settings, port: int) -> Settings:
    head, _, tail = settings.landing.partition("@127.0.0.1:")
    return replace(settings, landing=f"{head}@127.0.0.1:{port}/{tail.partition('/')[2]}")


def test_an_unreachable_server(sftp: Zone, free_port: int) -> None:
    fails(at_port(sftp.settings, free_port), "Unable to connect to port", "check that the server is up")


def test_a_silent_server(sftp: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "WAIT_SECONDS", 0.5)
    with door(None, 0) as (port, _):
        fails(at_port(sftp.settings, port), "check that the server is up")


@pytest.mark.parametrize("let_through", [10, 1_000, 3_000, 400_000])
def test_a_server_that_disconnects_during_a_load(
    sftp: Zone, sftp_server: SimpleNamespace, tmp_path: Path, let_through: int
) -> None:
    """In the middle of the greeting, of the login, of a listing, of a file."""
    sftp.put("calls.csv", as_csv(legs(5_000)))
    with door(sftp_server.port, let_through) as (port, taken):
        know(sftp_server.folder / "host", port, tmp_path / "known_hosts")
        settings = at_port(sftp.settings, port)
        with pytest.raises(
            ConfigurationError, match=r"cannot be read: [^\n]+\n  check that the server is up"
        ):
            ingest(settings, "calls", DAY)
        assert len(taken) == 1
    assert ledger(sftp.settings) == [] and sftp.copies == []


def test_a_server_that_stalls_during_a_file(
    sftp: Zone, sftp_server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "WAIT_SECONDS", 1.0)
    sftp.put("calls.csv", as_csv(legs(50)))
    copy = storage.Folder.copy

    def falls_silent(folder: storage.Folder, relative: str, target: Path) -> None:
        [server] = psutil.Process(sftp_server.pid).children()
        server.suspend()
        try:
            copy(folder, relative, target)
        finally:
            server.resume()

    monkeypatch.setattr(storage.Folder, "copy", falls_silent)
    with pytest.raises(ConfigurationError, match="calls.csv cannot be read: no answer within 1 s"):
        ingest(sftp.settings, "calls", DAY)


def test_a_missing_server_folder_is_an_error(sftp: Zone) -> None:
    gone = f"{sftp.settings.landing}/gone"
    fails(replace(sftp.settings, landing=gone), f"{gone} does not exist")


def test_login_without_the_key_is_refused(
    sftp: Zone, sftp_server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARC_SFTP_PASSWORD", SECRET)
    monkeypatch.setenv("PARC_SFTP_KEY_FILE", str(sftp_server.folder / "stranger"))
    fails(sftp.settings, "uthentication", "PARC_SFTP_KEY_FILE or PARC_SFTP_PASSWORD")
    monkeypatch.setenv("PARC_SFTP_KEY_FILE", str(sftp_server.folder / "nowhere"))
    fails(sftp.settings, "No such file", str(sftp_server.folder / "nowhere"))
    monkeypatch.delenv("PARC_SFTP_PASSWORD")
    monkeypatch.setenv("PARC_SFTP_PASSWORD_FILE", str(sftp_server.folder / "nowhere"))
    with pytest.raises(ConfigurationError, match=r"PARC_SFTP_PASSWORD_FILE=.*nowhere cannot be read"):
        unseen(sftp.settings, DAY, DAY)


def test_an_unknown_or_changed_host_key_is_refused(
    sftp: Zone, sftp_server: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trusting any server that answers would let anybody invent tonight's deliveries."""
    know(sftp_server.folder / "stranger", sftp_server.port, tmp_path / "known_hosts")
    fails(sftp.settings, "Host key for server", "does not match", "impersonating it")
    monkeypatch.delenv("PARC_SFTP_KNOWN_HOSTS")
    fails(sftp.settings, "not found in known_hosts", "add it to ~/.ssh/known_hosts")
    (tmp_path / ".ssh").mkdir()
    know(sftp_server.folder / "host", sftp_server.port, tmp_path / ".ssh" / "known_hosts")
    assert unseen(sftp.settings, DAY, DAY) == []


@pytest.mark.parametrize(
    "url",
    [
        f"sftp://feeds:{SECRET}@127.0.0.1/landing",
        f"sftp://feeds:{SECRET}/x@127.0.0.1:22/landing",
        f"s3://AKIA:{SECRET}@{BUCKET}/landing",
        f"simplecache::sftp://feeds:{SECRET}@127.0.0.1/landing",
    ],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    for places in ({"landing": url, "switch": ""}, {"landing": "", "switch": url}):
        with pytest.raises(ConfigurationError, match="URL holds a password") as caught:
            Settings(home=tmp_path, **places)
        assert SECRET not in str(caught.value)
    with pytest.raises(ConfigurationError, match="URL holds a password"), storage.opened(url):
        pass


@pytest.mark.parametrize("url", ["sftp://feeds@host:22/a@b", "s3://bucket/a:b@c", "file:///srv/a:b@c"])
def test_special_characters_in_a_url_path_are_no_password(url: str, tmp_path: Path) -> None:
    assert Settings(home=tmp_path, landing=url, switch="").landing == url


def test_the_command_line_reports_it_in_one_line(sftp: Zone, free_port: int) -> None:
    settings = at_port(sftp.settings, free_port)
    for others, message in (
        ({}, f"{settings.landing} cannot be read"),
        ({"PARC_LANDING": f"sftp://feeds:{SECRET}@127.0.0.1/landing"}, "URL holds a password"),
    ):
        done = parc(settings, "ingest", "calls", "--date", str(DAY), **others)
        assert done.returncode == 3 and message in done.stderr and SECRET not in done.stderr
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 3, done.stderr
