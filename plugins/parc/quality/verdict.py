"""What a suite says of a delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """An expectation that does not hold; the message names what was seen, the limit and the way out."""

    expectation: str
    severity: Literal["fail", "warn"]
    owner: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """Whether a delivery may be published, and why (not).

    `passed` is false when an expectation of severity fail does not hold. `not_evaluated` names the
    expectations that had nothing to judge: no history yet, or too few rows for a share. `suite` is the
    suite that ran, None where none is declared for the feed; `docs_uri` leads to its page in Data Docs.
    """

    passed: bool
    failures: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    docs_uri: str | None = None
    suite: str | None = None
    not_evaluated: list[str] = field(default_factory=list)
