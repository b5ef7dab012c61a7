"""Asks which versions of a hashed lock are known to be vulnerable, for this machine's Python: `make audit`.

Exit codes: 0 none is known; 1 some are, told in a table; 3 nobody could be asked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_AUDITED = 3


def main(lock: Path) -> int:
    """The exit code; prints what pip-audit finds."""
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
        why = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
        print(
            f"{lock} is not audited, as nobody answered: this needs a network. Run it where api.osv.dev can "
            f"be reached, or name a mirror of it in PIP_AUDIT_OSV_URL. ({why[:200]})",
            file=sys.stderr,
        )
        return NOT_AUDITED
    print(ended.stdout.strip() or f"{lock}: no known vulnerability")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
