"""Checks a hashed lock for known vulnerabilities, for this machine's Python: `make audit`.

Exit codes: 0 none known; 1 some found and listed in a table; 3 the service could not be reached.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_AUDITED = 3


def main(lock: Path) -> int:
    """Print what pip-audit finds; returns the exit code."""
    options = [
        "--requirement",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "--vulnerability-service",
        "osv",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options, "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode and not ended.stdout.strip():
        why = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        print(
            f"{lock} was not audited: the audit needs a network. Run it where api.osv.dev can be reached, or "
            f"set PIP_AUDIT_OSV_URL to a mirror. ({why[:200]})",
            file=sys.stderr,
        )
        return NOT_AUDITED
    print(ended.stdout.strip() or f"{lock}: no known vulnerability")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
