"""Deliveries into the warehouse: loaded aside, audited, published in one transaction, with a ledger."""

from parc.loading.arrivals import has_come, not_built, unseen
from parc.loading.ingestion import Outcome, ingest

__all__ = ["Outcome", "has_come", "ingest", "not_built", "unseen"]
