"""SFTP, with a server that must be known and waits that end.

The key is PARC_SFTP_KEY_FILE's, the SSH agent's or one in ~/.ssh; PARC_SFTP_PASSWORD is the password, or the
passphrase of the key. The server's host key must stand in ~/.ssh/known_hosts, or in the file that
PARC_SFTP_KNOWN_HOSTS names.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

# Its threads log the tracebacks of errors that are raised here as well.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

REQUESTS_AT_ONCE = 64
"""Blocks of a file that are asked for ahead; without a limit some servers stall on large files."""


class Sftp(SFTPFileSystem):  # type: ignore[misc]
    """fsspec's, which takes any host key for good, has no time limits and is never closed."""

    cachable = False

    def _connect(self) -> None:
        wait = self.ssh_kwargs["wait_seconds"]
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys(os.environ.get("PARC_SFTP_KNOWN_HOSTS") or None)
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self.client.connect(
                self.host,
                port=self.ssh_kwargs.get("port") or paramiko.config.SSH_PORT,
                username=self.ssh_kwargs.get("username"),
                password=os.environ.get("PARC_SFTP_PASSWORD") or None,
                key_filename=os.environ.get("PARC_SFTP_KEY_FILE") or None,
                timeout=wait,
                auth_timeout=wait,
                channel_timeout=wait,
            )
            self.ftp = self.client.open_sftp()
        except BaseException:
            self.client.close()
            raise
        channel = self.ftp.get_channel()
        assert channel
        channel.settimeout(wait)

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Copy a file to this machine."""
        self.ftp.get(rpath, lpath, max_concurrent_prefetch_requests=REQUESTS_AT_ONCE)

    def close(self) -> None:
        """End the connection."""
        self.client.close()
