"""Where a platform's state, input and secrets are. Nothing else reads the environment."""

from __future__ import annotations

import os
import re
import secrets as token_source
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from parc.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class OwnSwitch:
    """How the platform's own Kamailio is started.

    `last_resort` is the SIP address that takes what no table can route; `memory_mb` its shared memory;
    `workers` the processes that take calls; `ping_seconds` how often each site is asked whether it lives.
    `peers` are the addresses and networks that may place calls, each `peer_calls` new ones in a second.
    """

    last_resort: str = "sip:partner@127.0.0.1:5199"
    memory_mb: str = "256"
    workers: str = "4"
    ping_seconds: str = "10"
    peers: str = "127.0.0.0/8"
    peer_calls: str = "400"

    @classmethod
    def from_env(cls) -> Self:
        """Read PARC_SWITCH_LAST_RESORT and so on; what is unset or empty keeps its default."""
        given = {each.name: os.environ.get(f"PARC_SWITCH_{each.name.upper()}") for each in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value})


@dataclass(frozen=True)
class RemoteAccess:
    """How to reach a landing zone on S3 or SFTP, beyond what their libraries read from the environment."""

    s3_endpoint: str | None
    s3_ca_file: str | None
    sftp_known_hosts: str | None
    sftp_key_file: str | None

    @classmethod
    def from_env(cls) -> Self:
        """Read AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL, AWS_CA_BUNDLE, PARC_SFTP_KNOWN_HOSTS and
        PARC_SFTP_KEY_FILE."""
        return cls(
            s3_endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
            s3_ca_file=os.environ.get("AWS_CA_BUNDLE") or None,
            sftp_known_hosts=os.environ.get("PARC_SFTP_KNOWN_HOSTS") or None,
            sftp_key_file=os.environ.get("PARC_SFTP_KEY_FILE") or None,
        )


@dataclass(frozen=True)
class Settings:
    """One platform's settings.

    `home` holds all local state. `landing` is an fsspec URL; `switch` is one too, or `kamailio:` with the
    folder of its socket (no folder: the platform's own, set up as `own_switch` says). `warehouse_dsn` and
    `switch_dsn` are libpq connection strings to an outside PostgreSQL >= 15, or None for the embedded one,
    whose programs are in `pg_bin` (None: those of the wheel).

    `airflow_run` is the DAG and the run that a task works for, None on the command line. With `four_eyes`,
    nobody approves a routing release that they asked for; `approvers` are the logins that may approve, empty
    for all. `airflow_users` is the file of Airflow's users, None for the one in `home`; `auth_manager` is the
    operator's own class instead. `weekly_addresses` is the file of who gets the weekly pages, None for that
    in `home`. `airflow_api` is the address of an Airflow that others run (docker-compose.yml), or of the one
    that this process was started by, `airflow_ui` where people open it.

    `backups` is the folder of the embedded server's backups, None to keep none; each moment of the last
    `backup_days` days can be restored.
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
    auth_manager: str | None = None
    weekly_addresses: Path | None = None
    airflow_api: str | None = None
    airflow_ui: str | None = None
    pg_bin: Path | None = None
    own_switch: OwnSwitch = OwnSwitch()
    backups: Path | None = None
    backup_days: int = 14

    def __post_init__(self) -> None:
        """Both URLs are shown, kept in the ledger and passed on: they must hold no secret."""
        check_url(self.landing)
        check_url(self.switch)

    @classmethod
    def from_env(cls) -> Self:
        """Read the PARC_ variables of these names, PG_BIN, and what Airflow sets for its tasks. The DSNs may
        be given as files.

        Raises ConfigurationError when a URL holds a password, PARC_FOUR_EYES is neither on nor off,
        PARC_BACKUP_DAYS is no number of days, or the file of a secret cannot be read.
        """
        home = Path(os.environ.get("PARC_HOME") or PROJECT / ".parc").absolute()
        dag_id, run_id = os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
        users, pg_bin = os.environ.get("PARC_AIRFLOW_USERS"), os.environ.get("PG_BIN")
        weekly_addresses, backups = os.environ.get("PARC_WEEKLY_ADDRESSES"), os.environ.get("PARC_BACKUPS")
        execution_api = os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
        return cls(
            home=home,
            landing=_place(os.environ.get("PARC_LANDING") or str(home / "landing")),
            switch=_switch(os.environ.get("PARC_SWITCH") or str(home / "switch")),
            warehouse_dsn=given_secret("PARC_WAREHOUSE_DSN"),
            switch_dsn=given_secret("PARC_SWITCH_DSN"),
            airflow_run=(dag_id, run_id) if dag_id and run_id else None,
            four_eyes=_switched_on("PARC_FOUR_EYES"),
            approvers=tuple(re.findall(r"[^\s,]+", os.environ.get("PARC_APPROVERS", ""))),
            airflow_users=Path(users).absolute() if users else None,
            weekly_addresses=Path(weekly_addresses).absolute() if weekly_addresses else None,
            auth_manager=os.environ.get("AIRFLOW__CORE__AUTH_MANAGER") or None,
            airflow_api=execution_api.removesuffix("/").removesuffix("/execution") if execution_api else None,
            airflow_ui=os.environ.get("AIRFLOW__API__BASE_URL") or None,
            pg_bin=Path(pg_bin) if pg_bin else None,
            own_switch=OwnSwitch.from_env(),
            backups=Path(backups).absolute() if backups else None,
            backup_days=_days("PARC_BACKUP_DAYS", cls.backup_days),
        )

    @property
    def has_own_landing(self) -> bool:
        """Whether deliveries are read from the home's own folder."""
        return self.landing == str(self.home / "landing")

    @property
    def demonstration_mark(self) -> Path:
        """A file in a home whose deliveries are simulated: nothing in it runs by the clock."""
        return self.home / "demonstration"

    @property
    def is_landing_on_disk(self) -> bool:
        """Whether deliveries are read from a folder of this machine."""
        return "://" not in self.landing.removeprefix("file://")

    @property
    def has_own_switch(self) -> bool:
        """Whether the platform starts a Kamailio of its own."""
        return self.switch == "kamailio:"

    def with_warehouse(self, dsn: str) -> Self:
        """These settings on another warehouse."""
        return replace(self, warehouse_dsn=dsn)

    def secret(self, name: str, otherwise: str | None = None) -> str:
        """A secret of this platform: what the environment gives (`PARC_<NAME>`, or the file that
        `PARC_<NAME>_FILE` names), else `otherwise`, else one that is made once and kept in `home/secrets`.

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
                os.link(draft, path)  # fails if another process was first: its secret counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text()

    def secret_if_any(self, name: str) -> str | None:
        """As `secret`, but makes none: None if there is none."""
        path = self.secret_file(name)
        return given_secret(f"PARC_{name.upper()}") or (path.read_text() if path.exists() else None)

    def secret_file(self, name: str) -> Path:
        """The file of a secret that the platform made."""
        return self.home / "secrets" / name

    @property
    def pseudonym_secret(self) -> bytes:
        """The key of every pseudonym; changing it cuts off all history."""
        return self.secret("pseudonym_secret").encode()


def given_secret(name: str) -> str | None:
    """The value of the variable `name`, or the content of the file that `name`_FILE names, without its last
    line break; None if neither is set.

    Raises ConfigurationError when both are set, or the file is empty or cannot be read.
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


def environment_without(*prefixes: str) -> dict[str, str]:
    """The environment for a process that is started, without the variables that begin with these prefixes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def _switched_on(name: str) -> bool:
    """Whether a variable is on; unset means off. Any other word is an error: it guards something."""
    given = os.environ.get(name, "").strip().lower()
    if given in ("1", "on", "true", "yes"):
        return True
    if given in ("", "0", "off", "false", "no"):
        return False
    raise ConfigurationError(f"{name}={given} is neither on nor off")


def _days(name: str, otherwise: int) -> int:
    """A number of days, at least one."""
    given = os.environ.get(name, "").strip()
    if given and not re.fullmatch(r"[1-9]\d{0,3}", given):
        raise ConfigurationError(f"{name}={given} is not a number of days (1 to 9999)")
    return int(given) if given else otherwise


def _switch(given: str) -> str:
    """The switch as every process finds it, wherever it starts: `kamailio:`, a URL or an absolute path."""
    if given == "kamailio":
        return "kamailio:"
    return given if ":" in given else _place(given)


def _place(given: str) -> str:
    """A URL, or an absolute path."""
    return given if "://" in given else str(Path(given).absolute())


def check_url(url: str) -> None:
    """Raises ConfigurationError when a URL holds a password or a key, without repeating it."""
    if found := re.search(r"(?P<protocol>\w+)://[^/@]*:(?!\d+/)[^@]*@", url):
        raise ConfigurationError(
            f"the {found['protocol']}:// URL holds a password, which logs and the ledger would show: "
            "leave it out, and give it by the environment (docs/reference/landing-zone.md)"
        )
