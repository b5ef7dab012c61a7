"""Folders of files: on disk, in an S3-compatible store, on an SFTP server, wherever else fsspec reaches.

    /srv/landing   file:///srv/landing   s3://bucket/prefix   sftp://user@host:port/folder

Credentials come from the environment and are never part of a URL. For S3 those of every AWS tool:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL,
AWS_CA_BUNDLE, or the machine's role. For SFTP see `parc.storage.sftp`.

A server that does not answer costs at most WAIT_SECONDS a try and three tries.
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
from parc.settings import check_url

WAIT_SECONDS = 20.0
"""How long a connection may take, and how long a server may say nothing."""

TRIES = 3
"""Requests to an S3 store that fails or says nothing, in all."""

MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What the file systems call the moment at which a file was last written."""


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
"""Errors that one file, folder or link may have of its own, while the folder around it can be read."""

Kind = Literal["file", "folder", "special file", "dangling link", "link out"]
"""What an entry is, links followed: a link to what is not there or cannot be reached, or to a place outside
its folder, is neither."""

KINDS: dict[str, Kind] = {"file": "file", "directory": "folder"}


@dataclass(frozen=True)
class Entry:
    """A file or folder; bytes of `name` that are not UTF-8 stand in it as surrogates, as Python has them.
    `modified_at` is None where the file system does not tell."""

    name: str
    kind: Kind
    bytes: int
    modified_at: datetime | None

    @property
    def is_file(self) -> bool:
        """A file, or a link to one."""
        return self.kind == "file"


@dataclass
class Folder:
    """A folder behind a URL, while it is open; paths are relative to it."""

    url: str
    filesystem: Any
    path: str
    at: str = field(default="", init=False)
    """What was looked at last."""

    @property
    def is_on_disk(self) -> bool:
        """Whether its files are this machine's own."""
        return isinstance(self.filesystem, LocalFileSystem)

    def entries(self, relative: str = "") -> list[Entry]:
        """What lies in the folder, by name; one that is not there is empty.

        Raises ConfigurationError when this whole folder is not there: on disk and over SFTP. In a store,
        which has no folders, the bucket must be there, and a prefix may be empty.
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
        """Whether a file or folder is there."""
        return self._type(relative) is not None

    def has_file(self, relative: str) -> bool:
        """Whether a file is there."""
        return self._type(relative) == "file"

    def holds(self, relative: str) -> bool:
        """Whether a path, links followed, stays in this folder, or in the one of its own that it begins with:
        that may itself be a link, to wherever the operator keeps a feed. True where there are no links."""
        real = self._real_path(relative)
        if real is None:
            return True
        insides = (self._real_path(""), self._real_path(relative.partition("/")[0]))
        return any(f"{real}/".startswith(f"{inside}/") for inside in insides)

    def _path(self, relative: str) -> str:
        self.at = relative
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
        """The path without links, nor a slash at its end; None where the file system has no links."""
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
                f"{self.url} does not exist: nothing was looked for; "
                "set PARC_LANDING to where deliveries arrive, or make the folder"
            )


def connect(url: str) -> tuple[Any, str]:
    """The file system that a URL lies on, ready for use, and the path there.

    Raises ConfigurationError when the URL holds a password; the driver's own errors when there is no such
    driver, or the server cannot be reached. `opened` puts these into words.
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
    """The folder at a URL, for as long as the body lasts.

    Raises ConfigurationError, in one line, when the URL holds a password, or when anything in the body fails
    that concerns the folder: no such driver, bucket or key, a server that is away or stops answering. A full
    disk of this machine is left as it is: `is_disk_full`.
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
        place = f"{url}/{folder.at}" if folder and folder.at else url
        raise ConfigurationError(f"{place} cannot be read: {_told(error)}") from None


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of space on this machine."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _s3() -> ArrowFSWrapper:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    store = S3FileSystem(
        endpoint_override=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
        tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE") or None,
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
    """Paramiko's own errors, where it is in use: nobody else waits for its import."""
    paramiko = sys.modules.get("paramiko")
    return (paramiko.SSHException,) if paramiko else ()


WAYS_OUT = (
    (
        ("NO_SUCH_BUCKET",),
        "name a bucket that is there",
    ),
    (
        ("ACCESS_DENIED", "ACCESS_KEY", "SIGNATURE", "TOKEN", "Token"),
        "the store wants other credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), "
        "or lets these not list and read the bucket",
    ),
    (
        ("not found in known_hosts",),
        "ask who runs the server for its host key and enter it in ~/.ssh/known_hosts, or in the file "
        "that PARC_SFTP_KNOWN_HOSTS names",
    ),
    (
        ("Host key for server",),
        "the server was set up anew, or somebody poses as it: ask who runs it before known_hosts is changed",
    ),
    (
        ("uthentication", "private key", "passphrase"),
        "set PARC_SFTP_KEY_FILE or PARC_SFTP_PASSWORD to what the server takes",
    ),
    (
        ("Permission denied",),
        "let this user list the folder and read its files",
    ),
    (
        ("onnect", "CONNECTION", "answer", "banner", "session", "closed", "getaddrinfo", "resolve"),
        "is the server up, and named rightly? Try again when it answers",
    ),
)
"""What helps, by what an error's text holds: drivers tell little more than texts."""


def _told(error: Exception) -> str:
    """The error in one line, with the way out."""
    text = " ".join(str(error).split()).partition(" (Request ID")[0].partition(": got '")[0]
    if isinstance(error, EOFError):
        text = "the connection was lost"
    elif isinstance(error, TimeoutError):
        text = f"no answer within {WAIT_SECONDS:g} s"
    way_out = next((way for signs, way in WAYS_OUT if any(sign in text for sign in signs)), None)
    return f"{text or type(error).__name__}; {way_out or 'is PARC_LANDING right?'}"
