"""What a suite says of what it judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Measures = dict[str, Any]
"""What a suite's SQL measures, by name: numbers, texts, lists of counts, None."""


@dataclass(frozen=True)
class Finding:
    """An expectation that does not hold; the message names what was seen, the limit and the way out."""

    expectation: str
    severity: Literal["fail", "warn"]
    owner: str
    message: str


@dataclass(frozen=True)
class Judgement:
    """What a run says of one expectation. `limits` holds `min_value`, `max_value` or both, inclusive."""

    expectation: str
    owner: str
    sentence: str
    measure: str
    observed: float | str | None
    limits: dict[str, float]
    refuses: bool
    has_value: bool
    finding: Finding | None

    @property
    def status(self) -> str:
        """`holds`, `refuses`, `warns`, or `not judged`."""
        if self.finding:
            return "refuses" if self.refuses else "warns"
        return "holds" if self.has_value else "not judged"

    @property
    def limit(self) -> str:
        """The limits in words: `none`, `10 to 90`, `≥ 10`, `≤ 90`."""
        low, high = (figure(self.limits.get(name)) for name in ("min_value", "max_value"))
        if not self.limits:
            return "none"
        if len(self.limits) == 2:
            return f"{low} to {high}"
        return f"≥ {low}" if "min_value" in self.limits else f"≤ {high}"


@dataclass(frozen=True)
class Verdict:
    """Whether what was judged may go on, and why (not).

    `passed` is false when an expectation of severity fail does not hold. `judgements` are all expectations
    in the order of the suite, `not_evaluated` the names of those that had nothing to judge: no history yet,
    or too few rows for a share. `suite` is the suite that ran, None where none is declared for the feed;
    `page` is its page, as a path inside Data Docs; `measures` are the counts that its SQL took, kept for like
    days to come.
    """

    passed: bool
    failures: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    page: str | None = None
    suite: str | None = None
    not_evaluated: list[str] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    measures: Measures = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """`refused`, `passed with warnings`, or `passed`."""
        if not self.passed:
            return "refused"
        return "passed with warnings" if self.warnings else "passed"


def figure(value: object) -> str:
    """A measure as people read it: thousands apart (a year is none), at most two decimals."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    apart = "," if abs(value) >= 10_000 else ""
    return f"{value:{apart}}" if isinstance(value, int) else f"{value:{apart}.2f}".rstrip("0").rstrip(".")
