"""Runs what `expectations/` declares on a delivery as a whole, and says what came of it."""

from parc.quality.run import check_delivery, run_suite
from parc.quality.suites import QualityError
from parc.quality.verdict import Finding, Verdict

__all__ = ["Finding", "QualityError", "Verdict", "check_delivery", "run_suite"]
