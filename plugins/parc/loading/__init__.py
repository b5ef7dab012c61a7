"""Deliveries into the warehouse: loaded aside, audited, published in one transaction, with a ledger."""

from parc.loading.ingestion import Outcome, ingest

__all__ = ["Outcome", "ingest"]
