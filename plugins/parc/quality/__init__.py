"""Runs the suites in `expectations/` on whole deliveries and on the inputs of an export."""

from parc.quality.declared import QualityError, Suite, UnknownSuite, seed_column
from parc.quality.history import History, PastDelivery, history_of_ledger
from parc.quality.run import NothingToJudge, check, check_delivery, check_export, data_docs, suites
from parc.quality.verdict import ExpectationResult, Verdict, Violation

__all__ = [
    "ExpectationResult",
    "History",
    "NothingToJudge",
    "PastDelivery",
    "QualityError",
    "Suite",
    "UnknownSuite",
    "Verdict",
    "Violation",
    "check",
    "check_delivery",
    "check_export",
    "data_docs",
    "history_of_ledger",
    "seed_column",
    "suites",
]
