"""Folders of files: on disk, in an S3-compatible store, on an SFTP server, or anywhere else fsspec reaches.

    /srv/landing   file:///srv/landing   s3://bucket/prefix   sftp://user@host:port/folder

Credentials come from the environment and are never part of a URL. S3 uses the same ones as every AWS tool:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL,
AWS_CA_BUNDLE, or the machine's role. For SFTP see `parc.storage.sftp`.

A server that does not answer is tried at most three times, waiting WAIT_SECONDS each time.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import fsspec
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.settings import RemoteAccess, check_url

WAIT_SECONDS = 20.0
"""How long a connection may take, and how long a server may stay silent."""

TRIES = 3
"""How often a request is sent to an S3 store that fails or stays silent."""

MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""The file systems' names for the time at which a file was last written."""


OF_ONE_FILE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EIO,
        errno.ESTALE,
        errno.EINVAL,
        errno.ENXIO,
        errno.ENODEV,
        errno.EBADMSG,
        errno.EUCLEAN,
    }
)
"""Errors that may concern a single file, folder or link while the folder around it is readable."""

EntryKind = Literal["file", "folder", "special file", "dangling link", "link out"]
"""What an entry is after following links. A link to something missing or unreachable is a "dangling link",
one to a place outside its folder a "link out"."""

KINDS: dict[str, EntryKind] = {"file": "file", "directory": "folder"}


@dataclass(frozen=True)
class Entry:
    """A file or folder.

    Bytes of `name` that are not UTF-8 appear as surrogates, as in Python's own file names. `modified_at` is
    None if the file system does not provide it.
    """

    name: str
    kind: EntryKind
    bytes: int
    modified_at: datetime | None

    @property
    def is_file(self) -> bool:
        """Whether this is a file or a link to one."""
        return self.kind == "file"


@dataclass
class Folder:
    """An open folder at a URL; paths are relative to it."""

    url: str
    filesystem: Any
    path: str
    last_path: str = field(default="", init=False)
    """The path accessed last."""

    @property
    def is_on_disk(self) -> bool:
        """Whether the folder is on this machine's disk."""
        return isinstance(self.filesystem, LocalFileSystem)

    def entries(self, relative: str = "") -> list[Entry]:
        """The entries of a folder, ordered by name; a folder that does not exist counts as empty.

        Raises ConfigurationError if this whole folder does not exist, on disk or over SFTP. A store has no
        folders: there the bucket must exist, and a prefix may be empty.
        """
        path = self._path(relative)
        try:
            listed = self.filesystem.ls(path, detail=True)
        except FileNotFoundError:
            self._check_root()
            return []
        return sorted(
            (self._entry(relative, each) for each in listed if each["name"].rstrip("/") != path),
            key=lambda entry: entry.name,
        )

    def read(self, relative: str) -> bytes:
        """The content of a small file."""
        content: bytes = self.filesystem.cat_file(self._path(relative))
        return content

    def copy(self, relative: str, target: Path) -> None:
        """Copy a file to this machine."""
        self.filesystem.get_file(self._path(relative), str(target))

    def delete(self, relative: str) -> None:
        """Delete a file."""
        self.filesystem.rm_file(self._path(relative))

    def has(self, relative: str) -> bool:
        """Whether a file or folder exists."""
        return self._type(relative) is not None

    def has_file(self, relative: str) -> bool:
        """Whether a file exists."""
        return self._type(relative) == "file"

    def holds(self, relative: str) -> bool:
        """Whether a path stays in this folder after following links. Always true where there are no links.

        The first part of the path may itself be a link to wherever the operator keeps a feed; the rest must
        then stay within that.
        """
        real = self._real_path(relative)
        if real is None:
            return True
        insides = (self._real_path(""), self._real_path(relative.partition("/")[0]))
        return any(f"{real}/".startswith(f"{inside}/") for inside in insides)

    def _path(self, relative: str) -> str:
        self.last_path = relative
        return f"{self.path}/{relative}" if relative else self.path or "/"

    def _type(self, relative: str) -> str | None:
        try:
            return str(self.filesystem.info(self._path(relative))["type"])
        except FileNotFoundError:
            return None

    def _entry(self, folder: str, given: dict[str, Any]) -> Entry:
        name = PurePosixPath(given["name"]).name
        if given["type"] == "link" or given.get("islink"):
            link = given
            try:
                given = self.filesystem.info(link["name"])
                is_inside = self.holds(f"{folder}/{name}" if folder else name)
            except OSError as error:
                if error.errno not in OF_ONE_FILE:
                    raise
                return Entry(name, "dangling link", 0, _modified(link))
            if not is_inside:
                return Entry(name, "link out", 0, _modified(given))
        return Entry(name, KINDS.get(given["type"], "special file"), given["size"] or 0, _modified(given))

    def _real_path(self, relative: str) -> str | None:
        """The path with links resolved and no trailing slash; None if the file system has no links."""
        path = self._path(relative)
        if self.is_on_disk:
            return os.path.realpath(path).rstrip("/")
        if hasattr(self.filesystem, "real_path"):
            return str(self.filesystem.real_path(path)).rstrip("/")
        return None

    def _check_root(self) -> None:
        has_folders = self.is_on_disk or "sftp" in self.filesystem.protocol
        if has_folders and not self.has(""):
            raise ConfigurationError(
                f"{self.url} does not exist, so nothing was looked for",
                steps=(
                    Step("set PARC_LANDING to where deliveries arrive"),
                    Step("create the folder", is_alternative=True),
                ),
            )


def connect(url: str) -> tuple[Any, str]:
    """The file system of a URL, ready for use, and the path on it.

    Raises ConfigurationError if the URL holds a password, and the driver's own errors if there is no such
    driver or the server cannot be reached. `opened` explains these.
    """
    check_url(url)
    protocol = fsspec.utils.get_protocol(url)
    if protocol == "s3":
        return _s3(), url.removeprefix("s3://").strip("/")
    if protocol == "sftp":
        from parc.storage.sftp import Sftp

        options = Sftp._get_kwargs_from_urls(url)
        return Sftp(**options, wait_seconds=WAIT_SECONDS), Sftp._strip_protocol(url).rstrip("/")
    filesystem, path = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    return filesystem, path.rstrip("/")


@contextmanager
def opened(url: str) -> Iterator[Folder]:
    """Open the folder at a URL; it is closed at the end of the block.

    Raises ConfigurationError, in one line, if the URL holds a password, or if anything in the block fails
    because of the folder: no such driver, bucket or key, or a server that is down or stops answering. An
    error because this machine's disk is full passes unchanged: see `is_disk_full`.
    """
    folder = None
    url = url.rstrip("/") or url
    try:
        filesystem, path = connect(url)
        folder = Folder(url, filesystem, path)
        try:
            yield folder
        finally:
            if hasattr(filesystem, "close"):
                filesystem.close()
    except Exception as error:
        is_ours = isinstance(error, (OSError, EOFError, ImportError, ValueError, *_ssh_errors()))
        if not is_ours or is_disk_full(error):
            raise
        place = f"{url}/{folder.last_path}" if folder and folder.last_path else url
        why, remedy = _explained(error)
        raise ConfigurationError(f"{place} cannot be read: {why}", steps=(remedy,)) from None


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written because this machine's disk or quota is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _s3() -> ArrowFSWrapper:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    access = RemoteAccess.from_env()
    store = S3FileSystem(
        endpoint_override=access.s3_endpoint,
        tls_ca_file_path=access.s3_ca_file,
        connect_timeout=WAIT_SECONDS,
        request_timeout=WAIT_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )
    return ArrowFSWrapper(store, skip_instance_cache=True)


def _modified(given: dict[str, Any]) -> datetime | None:
    value = next((given[name] for name in MODIFIED if given.get(name)), None)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def _ssh_errors() -> tuple[type[Exception], ...]:
    """Paramiko's own errors if it is loaded; other file systems do not pay for importing it."""
    paramiko = sys.modules.get("paramiko")
    return (paramiko.SSHException,) if paramiko else ()


REMEDIES = (
    (
        ("NO_SUCH_BUCKET",),
        "name a bucket that exists",
    ),
    (
        ("ACCESS_DENIED", "ACCESS_KEY", "SIGNATURE", "TOKEN", "Token"),
        "set credentials that the store accepts (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE), and let them list and read the bucket",
    ),
    (
        ("not found in known_hosts",),
        "ask the server's administrator for its host key, and add it to ~/.ssh/known_hosts or to the file "
        "in PARC_SFTP_KNOWN_HOSTS",
    ),
    (
        ("Host key for server",),
        "either the server was reinstalled or something is impersonating it: ask its administrator before "
        "you change known_hosts",
    ),
    (
        ("uthentication", "private key", "passphrase"),
        "set PARC_SFTP_KEY_FILE or PARC_SFTP_PASSWORD to what the server accepts",
    ),
    (
        ("Permission denied",),
        "give this user permission to list the folder and read its files",
    ),
    (
        ("onnect", "CONNECTION", "answer", "banner", "session", "closed", "getaddrinfo", "resolve"),
        "check that the server is up and its name is right, then try again",
    ),
)
"""Remedies, chosen by words in the error's text: drivers give little else to go by."""


def _explained(error: Exception) -> tuple[str, Step]:
    """The error in one line, and its remedy."""
    text = " ".join(str(error).split()).partition(" (Request ID")[0].partition(": got '")[0]
    if isinstance(error, EOFError):
        text = "the connection was lost"
    elif isinstance(error, TimeoutError):
        text = f"no answer within {WAIT_SECONDS:g} s"
    remedy = next((remedy for signs, remedy in REMEDIES if any(sign in text for sign in signs)), None)
    return text or type(error).__name__, Step(remedy or "check PARC_LANDING")
