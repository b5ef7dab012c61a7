"""SFTP that only talks to known servers and never waits for ever.

The key is that of PARC_SFTP_KEY_FILE, the SSH agent's or one in ~/.ssh. PARC_SFTP_PASSWORD (or the file
PARC_SFTP_PASSWORD_FILE) is the password, or the passphrase of the key. The server's host key must be in
~/.ssh/known_hosts or in the file PARC_SFTP_KNOWN_HOSTS.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from parc.settings import RemoteAccess, given_secret

# Paramiko's threads would also log tracebacks of the errors that are raised here.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

REQUESTS_AT_ONCE = 64
"""How many blocks of a file are requested ahead; without a limit some servers stall on large files."""


class _Message(paramiko.Message):
    def get_text(self) -> str:
        """A text from the server; bytes that are not UTF-8 become surrogates, as in Python's file names."""
        return os.fsdecode(self.get_string())


class _Client(paramiko.SFTPClient):
    """Accepts file names that are not UTF-8, and gives every error that the server reports an errno."""

    def _request(self, t: Any, *args: Any) -> tuple[int, paramiko.Message]:
        kind, message = super()._request(t, *args)  # type: ignore[misc]
        return kind, _Message(message.get_remainder())

    def _convert_status(self, msg: paramiko.Message) -> None:
        try:
            super()._convert_status(msg)  # type: ignore[misc]
        except OSError as error:
            if error.errno is None:  # the server answered, so this request failed, not the connection
                raise OSError(errno.EIO, str(error)) from None
            raise


class Sftp(SFTPFileSystem):  # type: ignore[misc]
    """fsspec's SFTP file system, plus a check of the host key, time limits, and an end to the connection."""

    cachable = False

    def _connect(self) -> None:
        wait, access = self.ssh_kwargs["wait_seconds"], RemoteAccess.from_env()
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys(access.sftp_known_hosts)
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self.client.connect(
                self.host,
                port=self.ssh_kwargs.get("port") or paramiko.config.SSH_PORT,
                username=self.ssh_kwargs.get("username"),
                password=given_secret("PARC_SFTP_PASSWORD"),
                key_filename=access.sftp_key_file,
                timeout=wait,
                auth_timeout=wait,
                channel_timeout=wait,
            )
            transport = self.client.get_transport()
            assert transport
            ftp = _Client.from_transport(transport)
            assert ftp
            self.ftp = ftp
        except BaseException:
            self.client.close()
            raise
        channel = self.ftp.get_channel()
        assert channel
        channel.settimeout(wait)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The entries of a folder."""
        listed = [self._decode_stat(each, path) for each in self.ftp.listdir_attr(path)]
        return listed if detail else [each["name"] for each in listed]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Details of a path, after following links."""
        return {**self._decode_stat(self.ftp.stat(os.fsencode(path))), "name": path}

    def real_path(self, path: str) -> str:
        """The path with links resolved."""
        return str(self.ftp.normalize(os.fsencode(path)))

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Copy a file to this machine."""
        remote = os.fsencode(rpath)
        self.ftp.get(remote, lpath, max_concurrent_prefetch_requests=REQUESTS_AT_ONCE)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()
