"""Secrets come from the environment or from files, and go where they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc.build import dbt
from parc.errors import ConfigurationError
from parc.settings import Settings, given_secret

DSN = "postgresql://parc:s3cr3t@127.0.0.1/parc"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a secret"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", landing="/landing", switch="/switch", warehouse_dsn=DSN)


@pytest.mark.parametrize("content", ["of the file", "of the file\n", "of the file\r\n"])
def test_a_secret_is_read_from_its_file(content: str, file: Path, monkeypatch) -> None:
    file.write_bytes(content.encode())
    monkeypatch.setenv("PARC_A_PASSWORD_FILE", str(file))
    assert given_secret("PARC_A_PASSWORD") == "of the file"


def test_only_the_last_line_break_of_a_secret_is_stripped(file: Path, monkeypatch) -> None:
    file.write_text(" json://one\nmailto://two \n")
    monkeypatch.setenv("PARC_NOTICE_URLS_FILE", str(file))
    assert given_secret("PARC_NOTICE_URLS") == " json://one\nmailto://two "


def test_a_secret_may_be_given_by_value_or_not_at_all(monkeypatch) -> None:
    monkeypatch.setenv("PARC_A_PASSWORD_FILE", "")
    monkeypatch.setenv("PARC_A_PASSWORD", "")
    assert given_secret("PARC_A_PASSWORD") is None
    monkeypatch.setenv("PARC_A_PASSWORD", "by value")
    assert given_secret("PARC_A_PASSWORD") == "by value"


def test_a_secret_given_twice_is_reported_by_name(file: Path, monkeypatch) -> None:
    file.write_text("of the file")
    monkeypatch.setenv("PARC_A_PASSWORD_FILE", str(file))
    monkeypatch.setenv("PARC_A_PASSWORD", "by value")
    with pytest.raises(ConfigurationError, match="PARC_A_PASSWORD and PARC_A_PASSWORD_FILE") as caught:
        given_secret("PARC_A_PASSWORD")
    assert "of the file" not in str(caught.value) and "by value" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "UTF-8")]
)
def test_a_file_without_a_secret_is_reported_by_name(
    content: bytes | None, why: str, file: Path, monkeypatch
) -> None:
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("PARC_A_PASSWORD_FILE", str(file))
    with pytest.raises(ConfigurationError, match=why) as caught:
        given_secret("PARC_A_PASSWORD")
    assert str(file) in str(caught.value)


def test_every_secret_may_be_in_a_file(settings: Settings, file: Path, monkeypatch) -> None:
    file.write_text(f"{DSN}\n")
    for name in ("PARC_WAREHOUSE_DSN", "PARC_SWITCH_DSN", "PARC_PSEUDONYM_SECRET", "PARC_BI_OUEST_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(file))
    read = Settings.from_env()
    assert (read.warehouse_dsn, read.switch_dsn) == (DSN, DSN)
    assert settings.pseudonym_secret == DSN.encode()
    assert settings.secret("bi_ouest_password", otherwise="another") == DSN
    assert not (settings.home / "secrets").exists()


def test_dbt_gets_one_password_and_no_other_secret(settings: Settings, monkeypatch) -> None:
    for name in (
        "PARC_PSEUDONYM_SECRET",
        "PARC_WAREHOUSE_DSN",
        "PARC_NOTICE_URLS",
        "PARC_SWITCH_SECRET_FILE",
        "AIRFLOW__CORE__FERNET_KEY",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, "not for dbt")
    given = dbt.environment(settings)
    assert "not for dbt" not in given.values() and "s3cr3t" not in " ".join(given.values())
    assert {name for name in given if name.startswith("PARC_")} == {
        f"PARC_PG_{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")
    }
