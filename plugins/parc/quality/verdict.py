"""The result of running a suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Measures = dict[str, Any]
"""The measures returned by a suite's SQL, by name: numbers, texts, lists of counts, None."""


@dataclass(frozen=True)
class Violation:
    """An expectation that does not hold. `subject` is what was judged, such as a feed and a business date;
    `text` gives the observed value, the limit and the remedy."""

    expectation: str
    severity: Literal["fail", "warn"]
    owner: str
    subject: str
    text: str

    @property
    def message(self) -> str:
        """The text with its subject."""
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True)
class ExpectationResult:
    """The result of one expectation. `limits` holds `min_value`, `max_value` or both, inclusive."""

    expectation: str
    owner: str
    sentence: str
    measure: str
    observed: float | str | None
    limits: dict[str, float]
    refuses: bool
    has_value: bool
    violation: Violation | None

    @property
    def status(self) -> str:
        """`holds`, `refuses`, `warns`, or `not judged`."""
        if self.violation:
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
    """Whether the data may be used, and why or why not.

    `passed` is false if an expectation of severity fail does not hold. `judgements` has all expectations in
    suite order; `not_evaluated` names those that had nothing to judge: no history yet, or too few rows for a
    share. `suite` is the suite that ran, None if none is declared for the feed; `page` is its page's path in
    Data Docs; `measures` are the counts from its SQL, kept to compare with future like days.
    """

    passed: bool
    failures: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)
    page: str | None = None
    suite: str | None = None
    not_evaluated: list[str] = field(default_factory=list)
    judgements: list[ExpectationResult] = field(default_factory=list)
    measures: Measures = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """`refused`, `passed with warnings`, or `passed`."""
        if not self.passed:
            return "refused"
        return "passed with warnings" if self.warnings else "passed"


def figure(value: object) -> str:
    """Format a measure for people: thousands separated (except in years), at most two decimals."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    apart = "," if abs(value) >= 10_000 else ""
    return f"{value:{apart}}" if isinstance(value, int) else f"{value:{apart}.2f}".rstrip("0").rstrip(".")
