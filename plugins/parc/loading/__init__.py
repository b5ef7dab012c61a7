"""Deliveries into the warehouse: loaded aside, audited, published in one transaction, with a ledger."""

from parc.loading.arrivals import has_come, not_built, unseen
from parc.loading.ingestion import Outcome, ingest
from parc.loading.quarantine import held, replay
from parc.loading.withdrawal import withdraw

__all__ = ["Outcome", "has_come", "held", "ingest", "not_built", "replay", "unseen", "withdraw"]
