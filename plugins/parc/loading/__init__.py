"""Loads deliveries into the warehouse: into a staging table first, then audited and published at once."""

from parc.loading.arrivals import has_arrived, not_built, overlooked, strays, unseen
from parc.loading.dates import by_hand, of_night
from parc.loading.ingestion import Outcome, ingest
from parc.loading.isolation import loads
from parc.loading.lying import lying
from parc.loading.quarantine import held, replay
from parc.loading.withdrawal import withdraw

__all__ = [
    "Outcome",
    "by_hand",
    "has_arrived",
    "held",
    "ingest",
    "loads",
    "lying",
    "not_built",
    "of_night",
    "overlooked",
    "replay",
    "strays",
    "unseen",
    "withdraw",
]
