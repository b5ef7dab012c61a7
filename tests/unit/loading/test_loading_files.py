"""Files in the landing zone, and files whose content does not match their name."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parc.errors import ConfigurationError
from parc.feeds import FEEDS, Column, Type
from parc.loading.blocks import UnreadableFile
from parc.loading.landing import CollectedDelivery, collect
from parc.loading.reader import read
from parc.loading.rows import RowRules
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings

DAY = date(2012, 4, 25)
LINES = FEEDS["active_lines"]
HEADER = b"month,department_code,market,lines\n"
ROW = b"2012-04,35,fixe,1200\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "landing").mkdir()
    return Settings(home=tmp_path, landing=str(tmp_path / "landing"), switch=str(tmp_path / "switch"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "landing" / "active_lines" / f"date={DAY}"
    path.mkdir(parents=True)
    return path


def delivered(settings: Settings) -> CollectedDelivery:
    with collect(settings, "active_lines", DAY) as delivery:
        return delivery


def rows_of(settings: Settings) -> list[tuple[object, ...]]:
    with collect(settings, "active_lines", DAY) as delivery:
        return [
            row
            for file in delivery.files
            for block in read(file, LINES, DAY)
            for row in block.rows.iter_rows()
        ]


def refusal(settings: Settings) -> str:
    with pytest.raises(UnreadableFile) as refused:
        rows_of(settings)
    return str(refused.value)


def test_only_data_files_are_collected_by_name(settings: Settings, folder: Path) -> None:
    for name in ("b.csv", "a.csv.gz", "c.parquet", "notes.txt", "d.csv.part", ".e.csv", "_f.csv"):
        (folder / name).write_bytes(name.encode())
    for lock in ("~$b.csv", ".~lock.b.csv#"):
        (folder / lock).write_bytes(b"somebody has it open")
    (folder / "g.csv").mkdir()
    (folder / "_CONTROL.json").write_text("{}")
    delivery = delivered(settings)
    assert [file.name for file in delivery.files] == ["a.csv.gz", "b.csv", "c.parquet"]
    assert delivery.ignored == (
        ".e.csv is not a data file and was ignored",
        "d.csv.part is not a data file and was ignored",
        "_f.csv is not a data file and was ignored",
        "g.csv/ is a folder and was ignored",
        "notes.txt is not a data file and was ignored",
    )
    assert delivery.files[1].sha256 == hashlib.sha256(b"b.csv").hexdigest()
    assert delivery.files[1].bytes == len(b"b.csv")


def test_content_digest_does_not_depend_on_file_names(settings: Settings, folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"1")
    (folder / "b.csv").write_bytes(b"2")
    before = delivered(settings).content_sha256
    (folder / "a.csv").rename(folder / "z.csv")
    assert delivered(settings).content_sha256 == before
    (folder / "z.csv").write_bytes(b"3")
    assert delivered(settings).content_sha256 != before


def test_no_folder_is_a_delivery_without_files(settings: Settings) -> None:
    assert delivered(settings).files == ()


def test_a_landing_zone_on_another_machine_is_copied_here(settings: Settings) -> None:
    remote = fsspec.filesystem("memory")
    remote.pipe(f"/landing/active_lines/date={DAY}/lines.csv.gz", gzip.compress(HEADER + ROW, mtime=0))
    remote.pipe(f"/landing/active_lines/date={DAY}/_CONTROL.json", b'{"rows": 1}')
    try:
        settings = replace(settings, landing="memory://landing")
        assert rows_of(settings) == [("2012-04", "35", "fixe", "1200")]
        delivery = delivered(settings)
        assert delivery.control.rows == 1
        assert delivery.files[0].uri == f"memory://landing/active_lines/date={DAY}/lines.csv.gz"
        assert not delivery.files[0].path.exists(), "the copy is gone"
    finally:
        remote.rm("/landing", recursive=True)


def test_a_run_that_lost_its_connection_keeps_the_copies_of_the_next(settings: Settings) -> None:
    remote = fsspec.filesystem("memory")
    remote.pipe(f"/landing/active_lines/date={DAY}/lines.csv", HEADER + ROW)
    settings = replace(settings, landing="memory://landing")
    try:
        with collect(settings, "active_lines", DAY) as lost:
            following = collect(settings, "active_lines", DAY)
            file = following.__enter__().files[0]
            assert not lost.files[0].path.exists(), "copies are people's numbers: none is left behind"
        assert not file.has_changed()
        assert len(list(read(file, LINES, DAY))) == 1
        following.__exit__(None, None, None)
        assert not [*(settings.home / "copies").glob("*/*")]
    finally:
        remote.rm("/landing", recursive=True)


@pytest.mark.parametrize("landing", ["nowhere://landing", "a-file"])
def test_a_landing_zone_that_cannot_be_read_is_reported(settings: Settings, landing: str) -> None:
    if landing == "a-file":
        landing = str(settings.home / landing)
        Path(landing).touch()
    with pytest.raises(ConfigurationError, match=f"^{landing}.* cannot be read: .+"):
        delivered(replace(settings, landing=landing))


def test_a_missing_landing_zone_is_an_error(settings: Settings, folder: Path) -> None:
    for place in (settings.landing, f"file://{settings.landing}"):
        zone = replace(settings, landing=place)
        with (
            collect(zone, "active_lines", date(2012, 4, 26)) as delivery,
            collect(zone, "calls", DAY) as other,
        ):
            assert (delivery.files, other.files) == ((), ()), "a date and a feed may be missing"
        gone = replace(settings, landing=f"{place}/gone")
        with pytest.raises(
            ConfigurationError, match=f"{place}/gone does not exist, so nothing was looked for"
        ):
            delivered(gone)
    assert delivered(replace(settings, landing="memory://gone")).files == (), "a store has no folders"


def test_a_file_written_to_is_noticed(settings: Settings, folder: Path) -> None:
    path = folder / "lines.csv"
    path.write_bytes(HEADER + ROW)
    file = delivered(settings).files[0]
    assert not file.has_changed()
    os.utime(path, (1, 1))
    assert file.has_changed()
    path.unlink()
    assert file.has_changed()


DIGEST = hashlib.sha256(HEADER + ROW).hexdigest()


@pytest.mark.parametrize(
    ("control", "problem"),
    [
        ({"rows": 1, "sha256": {"lines.csv": DIGEST}}, None),
        ({"rows": 1}, None),
        ({}, None),
        ({"sha256": {"lines.csv": "00"}}, f"gives lines.csv the sha256 00, but it is {DIGEST}"),
        ({"sha256": {"lines.csv": DIGEST, "more.csv": "00"}}, "names more.csv, which is not there"),
        ({"sha256": {"other.csv": DIGEST}}, "names other.csv, which is not there"),
        ([1], "cannot be read: it is not a JSON object"),
        ({"count": 1}, 'cannot be read: it has neither "rows" nor "sha256"'),
        ({"rows": "many"}, "cannot be read: it must have the form"),
        ({"rows": True}, "cannot be read: it must have the form"),
        ({"rows": -1}, "cannot be read: it must have the form"),
        ({"Rows": 1, "SHA256": {"lines.csv": DIGEST}}, None),
        ({"SHA256": {"lines.csv": "00"}}, f"gives lines.csv the sha256 00, but it is {DIGEST}"),
        ({"ROWS": "many"}, "cannot be read: it must have the form"),
        ({"rows": 1, "Rows": 1}, 'cannot be read: it has "rows" or "sha256" more than once'),
        ({"sha256": {"\ud800.csv": DIGEST}}, "names \ufffd.csv, which is not there"),
        ({"sha256": {f"{number}.csv": DIGEST for number in range(99)}}, "names 0.csv, which is not there"),
    ],
)
def test_the_control_file_must_agree(
    settings: Settings, folder: Path, control: object, problem: str | None
) -> None:
    (folder / "lines.csv").write_bytes(HEADER + ROW)
    (folder / "_CONTROL.json").write_text(json.dumps(control))
    found = delivered(settings).problem
    assert found is None if problem is None else problem in str(found)


def test_the_control_file_must_name_every_file(settings: Settings, folder: Path) -> None:
    (folder / "lines.csv").write_bytes(HEADER + ROW)
    (folder / "more.csv").write_bytes(HEADER)
    (folder / "_CONTROL.json").write_text(json.dumps({"sha256": {"lines.csv": DIGEST}}))
    assert delivered(settings).problem == "_CONTROL.json does not name more.csv"


def test_a_broken_control_file_is_reported(settings: Settings, folder: Path) -> None:
    (folder / "lines.csv").write_bytes(HEADER + ROW)
    (folder / "_CONTROL.json").write_text("{rows: 1}")
    assert "_CONTROL.json cannot be read" in str(delivered(settings).problem)
    for text in (f'{{"rows": {"9" * 400}}}', f'{{"rows": {"9" * 9_000}}}', '{"rows": 1, "rows": 2}'):
        (folder / "_CONTROL.json").write_text(text)
        problem = str(delivered(settings).problem)
        assert problem.startswith("_CONTROL.json cannot be read: it ") and len(problem) < 150


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("month,department_code,lines", "lacks column `market`"),
        ("month,lines", "lacks columns `department_code`, `market`"),
        ("month,department_code,market,lines,colour", "has the unknown column `colour`"),
        ("month,department_code,market,lines,lines", "repeats column `lines`"),
        ("month,department_code,Market,lines", "lacks column `market` and has the unknown column `Market`"),
        ("month,department_code,market,lines,+33299123456", "has the unknown column (not a name)"),
        ("", "it is empty, without even a header"),
        (
            "2012-04,35,fixe,+33299123456",
            "its first line is not a header: it has none of month, department_code",
        ),
        ("," * 900, "its first line is not a header: it has none of month, department_code"),
        ("," * 60_000, "it has 60,001 columns, at most 1,000 are read"),
        ('""', "its first line is not a header: it has none of month, department_code"),
    ],
)
def test_the_columns_must_match_the_feed(settings: Settings, folder: Path, header: str, message: str) -> None:
    (folder / "lines.csv").write_text(header)
    assert refusal(settings).startswith(f"lines.csv: {message}")
    assert "+33299123456" not in refusal(settings)


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("month;department_code;market;lines", "(fields are separated by commas, not by semicolons)"),
        ("month|department_code|market|lines", "(fields are separated by commas, not by bars)"),
        ("MONTH,DEPARTMENT_CODE, MARKET,LINES", "(names are in lower case, without spaces)"),
        (
            "month, department_code, market,lines",
            "lacks columns `department_code`, `market` and has the unknown columns ` department_code`, "
            "` market` (names are in lower case, without spaces)",
        ),
        (
            "'month','department_code','market','lines'",
            "(names are in lower case, without spaces, without quotes but double ones)",
        ),
        (
            "\ufeff\ufeffmonth,department_code,market,lines",
            "`\\ufeffmonth` (names are in lower case, without spaces, without a byte order mark)",
        ),
        (
            "month,department_code,market,lines,",
            "has a column without a name (a comma at the end of the header)",
        ),
        (
            "month\n,department_code,market,lines\n2012-04,35,fixe,1\n",
            "lacks columns `department_code`, `market`, `lines` (all names must be in the first line)",
        ),
        ("\nmonth,department_code,market,lines\n", "its first line is blank, but must be the header"),
        ("month,department_code,market,lines\r2012-04,35,fixe,1\r", "end them with a line feed"),
        ("month,department_code,market,lines,tel 0299123456", "has the unknown column `***`"),
        ("month,department_code,market,lines,x0299123456", "has the unknown column `x***`"),
    ],
)
def test_the_refusal_of_an_unusual_header_says_what_is_wrong(
    settings: Settings, folder: Path, header: str, cause: str
) -> None:
    (folder / "lines.csv").write_text(header, newline="")
    assert refusal(settings).endswith(cause)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04" + bytes(40), "a zip archive, or an Excel workbook"),
        (gzip.compress(b"month,department_code,market,lines", mtime=0), "compressed by gzip"),
        ("month,department_code,market,lines".encode("utf-16"), "text in UTF-16"),
        ("month,department_code,market,lines".encode("utf-32"), "text in UTF-32"),
        (b"\0\0\xfe\xff" + "month".encode("utf-32-be"), "text in UTF-32"),
        (b"PAR1" + bytes(40), "a Parquet file"),
        (b'{"month": "2012-04"}', "JSON"),
    ],
)
def test_a_file_of_another_kind_is_named_by_its_kind(
    settings: Settings, folder: Path, content: bytes, kind: str
) -> None:
    (folder / "lines.csv").write_bytes(content)
    assert refusal(settings) == f"lines.csv: it is {kind}, not CSV in UTF-8"
    (folder / "lines.csv").unlink()
    (folder / "lines.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    assert refusal(settings) == f"lines.csv.gz: it is {kind}, not CSV in UTF-8"
    (folder / "lines.csv.gz").write_bytes(content)
    if kind != "compressed by gzip":
        assert refusal(settings) == f"lines.csv.gz: it is {kind}, not compressed by gzip"


def test_trailing_data_after_a_gzip_stream(settings: Settings, folder: Path) -> None:
    (folder / "lines.csv.gz").write_bytes(gzip.compress(HEADER + ROW, mtime=0) + b"garbage")
    assert "other data follows its gzip stream" in refusal(settings)


def test_a_column_is_due_from_and_until_a_date(settings: Settings, folder: Path, tmp_path: Path) -> None:
    """An announced new column causes no refusal, and old files still load."""
    colour = Column("colour", Type.TEXT, "A new one.", nullable=True, since=DAY)
    size = Column("size", Type.INTEGER, "One that goes.", nullable=True, until=DAY)
    lines = replace(LINES, columns=(*LINES.columns, colour, size))
    rules = {day: RowRules(lines, day, Pseudonyms(b"secret")) for day in (DAY - timedelta(days=1), DAY)}

    def read_as_of(day: date, more: bytes, values: bytes) -> list[tuple[object, ...]]:
        path = folder / "lines.csv"
        path.write_bytes(HEADER.strip() + more + b"\n" + ROW.strip() + values + b"\n")
        [block] = read(delivered(settings).files[0], lines, day)
        return rules[day].check_block(block, 1, "lines.csv").rows.select("colour", "size").rows()

    before = DAY - timedelta(days=1)
    assert read_as_of(before, b",size", b",7") == [(None, 7)]
    assert read_as_of(before, b",size,colour", b",7,red") == [("red", 7)]
    assert read_as_of(DAY, b",colour", b",red") == [("red", None)]
    assert read_as_of(DAY, b",colour,size", b",red,7") == [("red", 7)]
    with pytest.raises(UnreadableFile, match="lacks column `colour`"):
        read_as_of(DAY, b"", b"")
    with pytest.raises(UnreadableFile, match="lacks column `size`"):
        read_as_of(before, b"", b"")


def test_a_header_that_is_not_utf8(settings: Settings, folder: Path) -> None:
    (folder / "lines.csv").write_bytes("mois,département\n".encode("latin-1"))
    assert refusal(settings) == "lines.csv: its first line is not a CSV header in UTF-8"


def test_a_file_removed_during_the_load(settings: Settings, folder: Path) -> None:
    (folder / "a.csv").write_bytes(HEADER + ROW)
    file = delivered(settings).files[0]
    (folder / "a.csv").unlink()
    with pytest.raises(UnreadableFile, match="a.csv was removed while it was being read; run it again"):
        next(read(file, LINES, DAY))


def test_a_cut_off_gzip_file(settings: Settings, folder: Path) -> None:
    whole = gzip.compress(HEADER + ROW * 100_000, mtime=0)
    half = whole[: len(whole) // 2]
    (folder / "lines.csv.gz").write_bytes(half)
    cut_off = f"lines.csv.gz: its gzip stream is cut off at byte {len(half):,}; deliver the whole file"
    assert refusal(settings) == cut_off
    given, found = hashlib.sha256(whole).hexdigest(), hashlib.sha256(half).hexdigest()
    (folder / "_CONTROL.json").write_text(json.dumps({"sha256": {"lines.csv.gz": given}}))
    assert delivered(settings).problem == (
        f"_CONTROL.json gives lines.csv.gz the sha256 {given}, but it is {found}; {cut_off}"
    )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "lines.csv.gz",
            gzip.compress(HEADER, mtime=0)[:-8] + bytes(8),
            "its gzip stream is damaged (CRC check failed",
        ),
        ("lines.csv.gz", gzip.compress(HEADER, mtime=0), None),
        ("lines.parquet", b"PAR1" + bytes(100), "it is cut off at byte 104; deliver the whole file"),
        ("lines.csv", HEADER, None),
    ],
)
def test_a_file_unlike_its_digest_says_what_is_wrong(
    settings: Settings, folder: Path, name: str, content: bytes, why: str | None
) -> None:
    (folder / name).write_bytes(content)
    (folder / "_CONTROL.json").write_text(json.dumps({"sha256": {name: "00"}}))
    found = f"_CONTROL.json gives {name} the sha256 00, but it is {hashlib.sha256(content).hexdigest()}"
    problem = str(delivered(settings).problem)
    assert problem == found if why is None else problem.startswith(f"{found}; {name}: {why}")


def test_a_damaged_gzip_file(settings: Settings, folder: Path) -> None:
    whole = bytearray(gzip.compress(HEADER + os.urandom(1_000).hex().encode()))
    whole[len(whole) // 2] ^= 0xFF
    (folder / "lines.csv.gz").write_bytes(whole)
    assert refusal(settings).startswith("lines.csv.gz: its gzip stream is damaged")


def test_a_file_that_is_no_gzip(settings: Settings, folder: Path) -> None:
    (folder / "lines.csv.gz").write_bytes(HEADER + ROW)
    assert refusal(settings).startswith("lines.csv.gz: it is not compressed by gzip; deliver it as .csv")


def write_parquet(path: Path, **columns: pl.Series | list[object]) -> None:
    pl.DataFrame(columns).write_parquet(path)


def test_parquet_of_any_type_gives_the_text_of_csv(settings: Settings, folder: Path) -> None:
    write_parquet(
        folder / "lines.parquet",
        lines=pl.Series([1200.0, None, 7.5]),
        market=pl.Series(["fixe", "", None], dtype=pl.Categorical),
        department_code=["35", "2A", None],
        month=[date(2012, 4, 1), None, None],
    )
    assert rows_of(settings) == [
        ("1200", "fixe", "35", "2012-04-01"),
        (None, None, "2A", None),
        ("7.5", None, None, None),
    ]


def test_parquet_instants_keep_their_offset(settings: Settings, folder: Path, tmp_path: Path) -> None:
    calls = FEEDS["calls"]
    path = tmp_path / "landing" / "calls" / f"date={DAY}" / "calls.parquet"
    path.parent.mkdir(parents=True)
    columns: dict[str, list[object]] = {column.name: ["x"] for column in calls.file_columns}
    at = datetime(2012, 4, 25, 6, 0, 0, 250_000, tzinfo=UTC)
    columns["offered_at"], columns["queued_at"] = [at], [at.replace(tzinfo=None)]
    write_parquet(path, **columns)
    with collect(settings, "calls", DAY) as delivery:
        (block,) = read(delivery.files[0], calls, DAY)
    assert block.rows["offered_at"].item() == "2012-04-25T06:00:00.250000Z"
    assert not block.rows["queued_at"].item().endswith("Z"), "no offset is made up"


def test_parquet_rows_with_a_nul_byte(settings: Settings, folder: Path) -> None:
    write_parquet(
        folder / "lines.parquet",
        month=["2012-04", "2012-05", None],
        department_code=["35", "3\x005", "22"],
        market=["fixe"] * 3,
        lines=[1, 2, 3],
    )
    with collect(settings, "active_lines", DAY) as delivery:
        (block,) = read(delivery.files[0], LINES, DAY)
    assert block.lines.tolist() == [1, 3]
    assert block.unreadable == [(2, "holds a NUL byte")]


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        (
            ["MONTH", "DEPARTMENT_CODE", "MARKET", "LINES"],
            "its columns are none of month, department_code, market, lines "
            "(names are in lower case, without spaces)",
        ),
        (["month", "department_code", "market", "lines", ""], "has a column without a name"),
        (["month"], "lacks columns `department_code`, `market`, `lines`"),
        ([], "it has no columns"),
    ],
    ids=str,
)
def test_parquet_with_other_columns(
    settings: Settings, folder: Path, names: list[str], reported: str
) -> None:
    pq.write_table(pa.table([["1"]] * len(names), names=names), folder / "lines.parquet")
    assert refusal(settings) == f"lines.parquet: {reported}"


def test_a_file_that_is_not_parquet(settings: Settings, folder: Path) -> None:
    (folder / "lines.parquet").write_bytes(HEADER + ROW)
    assert refusal(settings).startswith("lines.parquet: it is not a Parquet file")


def test_parquet_with_an_unsupported_type(settings: Settings, folder: Path) -> None:
    write_parquet(
        folder / "lines.parquet", month=["2012-04"], department_code=["35"], market=["fixe"], lines=[[1]]
    )
    assert "its column `lines` has type large_list<element: int64>, which is not a single value" in refusal(
        settings
    )


def test_parquet_with_text_that_is_not_utf8(settings: Settings, folder: Path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9")]
    )
    table = pa.table({"month": ["2012-04"], "department_code": ["35"], "market": bad, "lines": [1]})
    pq.write_table(table, folder / "lines.parquet")
    with collect(settings, "active_lines", DAY) as delivery:
        (block,) = read(delivery.files[0], LINES, DAY)
    assert not block.rows.height and block.unreadable == [(1, "is not UTF-8")]
