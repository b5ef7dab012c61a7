"""Backups of the embedded server: taking and verifying them, and reading them back.

`parc.host.backups` knows the files; `parc.platform.restore` brings a platform back from them.
"""

from parc.backup.reading import BackupFailed, check, described, extract, root, unpack, verify
from parc.backup.taking import take

__all__ = ["BackupFailed", "check", "described", "extract", "root", "take", "unpack", "verify"]
