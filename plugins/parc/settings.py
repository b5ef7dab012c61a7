"""Where a platform's state, input and secrets are: read once from the environment, then passed along."""

from __future__ import annotations

import os
import re
import secrets as token_source
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from parc.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """One platform's settings.

    `home` holds all local state; `landing` is an fsspec URL; `switch` is one too, or `kamailio:` with the
    folder of its socket (none: the platform's own); `warehouse_dsn` and `switch_dsn` are libpq connection
    strings to an outside PostgreSQL >= 15, or None for the embedded one. `airflow_run` is the DAG
    and the run that a task works for, None for the command line. With `four_eyes`, who asks for a routing
    release does not approve it; `approvers` are the logins that may, empty for all. `airflow_users` is the
    file of Airflow's users, None for the one in `home`.
    """

    home: Path
    landing: str
    switch: str
    warehouse_dsn: str | None = field(default=None, repr=False)
    switch_dsn: str | None = field(default=None, repr=False)
    project: Path = PROJECT
    airflow_run: tuple[str, str] | None = None
    four_eyes: bool = False
    approvers: tuple[str, ...] = ()
    airflow_users: Path | None = None

    def __post_init__(self) -> None:
        """Both URLs are told, kept in the ledger and passed on: they hold no secret."""
        check_url(self.landing)
        check_url(self.switch)

    @classmethod
    def from_env(cls) -> Self:
        """Read PARC_HOME, PARC_LANDING, PARC_SWITCH, PARC_WAREHOUSE_DSN, PARC_SWITCH_DSN, PARC_FOUR_EYES,
        PARC_APPROVERS, PARC_AIRFLOW_USERS, and the run that Airflow names; the DSNs may lie in files.

        Raises ConfigurationError when a URL holds a password, PARC_FOUR_EYES is neither on nor off, or the
        file of a secret cannot be read.
        """
        home = Path(os.environ.get("PARC_HOME") or PROJECT / ".parc").absolute()
        dag_id, run_id = os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
        return cls(
            home=home,
            landing=_place(os.environ.get("PARC_LANDING") or str(home / "landing")),
            switch=_switch(os.environ.get("PARC_SWITCH") or str(home / "switch")),
            warehouse_dsn=given_secret("PARC_WAREHOUSE_DSN"),
            switch_dsn=given_secret("PARC_SWITCH_DSN"),
            airflow_run=(dag_id, run_id) if dag_id and run_id else None,
            four_eyes=_switched_on("PARC_FOUR_EYES"),
            approvers=tuple(re.findall(r"[^\s,]+", os.environ.get("PARC_APPROVERS", ""))),
            airflow_users=Path(users).absolute() if (users := os.environ.get("PARC_AIRFLOW_USERS")) else None,
        )

    def with_warehouse(self, dsn: str) -> Self:
        """These settings on another warehouse."""
        return replace(self, warehouse_dsn=dsn)

    def secret(self, name: str, otherwise: str | None = None) -> str:
        """A secret of this platform: `PARC_<NAME>` or the file `PARC_<NAME>_FILE` from the environment, else
        `otherwise`, else one that is made once under `home/secrets`.

        Two processes that ask at once get the same one. Raises ConfigurationError as `given_secret`.
        """
        if given := given_secret(f"PARC_{name.upper()}") or otherwise:
            return given
        path = self.secret_file(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f".{name}.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(token_source.token_urlsafe(32))
            try:
                os.link(draft, path)  # fails where another process was first: then its secret counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text()

    def secret_if_any(self, name: str) -> str | None:
        """A secret that may not be there: as `secret`, but none is made."""
        path = self.secret_file(name)
        return given_secret(f"PARC_{name.upper()}") or (path.read_text() if path.exists() else None)

    def secret_file(self, name: str) -> Path:
        """Where the platform keeps a secret that it made."""
        return self.home / "secrets" / name

    @property
    def pseudonym_secret(self) -> bytes:
        """Key of every HMAC that stands for a person; changing it severs all history."""
        return self.secret("pseudonym_secret").encode()


def given_secret(name: str) -> str | None:
    """What the environment gives as the secret `name`: its value, or the content of the file that `name`_FILE
    names, without the line break at its end. None where it gives neither.

    Raises ConfigurationError when it gives both, or the file is empty or cannot be read.
    """
    given, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if not file:
        return given or None
    if given:
        raise ConfigurationError(f"{name} and {name}_FILE are both set: leave one of them out")
    try:
        content = Path(file).read_text().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{name}_FILE={file} cannot be read: {why}") from None
    if not content:
        raise ConfigurationError(f"{name}_FILE={file} is empty: write the secret into it")
    return content


def environment_but(*prefixes: str) -> dict[str, str]:
    """The environment without variables of these prefixes: for a process that needs no secret in them."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def _switched_on(name: str) -> bool:
    """Whether a variable is on; unset, it is off. Another word is an error: it guards something."""
    given = os.environ.get(name, "").strip().lower()
    if given in ("1", "on", "true", "yes"):
        return True
    if given in ("", "0", "off", "false", "no"):
        return False
    raise ConfigurationError(f"{name}={given} is neither on nor off")


def _switch(given: str) -> str:
    """A switch that every process finds, wherever it was started: `kamailio:`, a URL, an absolute path."""
    if given == "kamailio":
        return "kamailio:"
    return given if ":" in given else _place(given)


def _place(given: str) -> str:
    """A URL, or a path that stays right wherever it is read."""
    return given if "://" in given else str(Path(given).absolute())


def check_url(url: str) -> None:
    """Raises ConfigurationError when a URL holds a password or a key; it is not repeated."""
    if found := re.search(r"(?P<protocol>\w+)://[^/@]*:(?!\d+/)[^@]*@", url):
        raise ConfigurationError(
            f"the {found['protocol']}:// URL holds a password, which logs and the ledger would show: "
            "leave it out, and give it by the environment (docs/reference/landing-zone.md)"
        )
