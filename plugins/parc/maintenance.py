"""The maintenance steps that the DAG `maintain_warehouse` and `parc maintain` run, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from parc.settings import Settings
from parc.warehouse import expiry, maintenance
from parc.warehouse.maintenance import MaintenanceResult

DATES_WITH_DATA_DOCS = 90
"""How many business dates of each suite Data Docs keep."""


def expire_raw(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Drop raw and quarantined rows past retention."""
    return expiry.expire_raw(settings, dry_run=dry_run)


def unlink_facts(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Remove the person keys from facts past retention."""
    from parc.build import retention

    return retention.unlink(settings, dry_run=dry_run)


def clear_orphans(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Drop what dead loads and builds left behind, and the tables of models that no longer exist."""
    from parc.build import leftovers
    from parc.loading.landing import clear_copies

    clear = (leftovers.clear, maintenance.clear_loads, clear_copies)  # first those that may have to wait
    return [result for each in clear for result in each(settings, dry_run=dry_run)]


def prune_history(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Delete the ledger's records of builds and runs older than a year, and delivery logs of that age;
    shorten the local switch's log if it has grown."""
    from parc.loading import incidents
    from parc.routing.switches import local

    results = maintenance.prune_history(settings, dry_run=dry_run)
    logs, size = incidents.prune(settings, maintenance.HISTORY, dry_run=dry_run)
    if logs:
        results.append(MaintenanceResult("logs of deliveries deleted", logs, size))
    if freed_bytes := local.shorten_log(settings, local.LOG_BYTES, dry_run=dry_run):
        results.append(MaintenanceResult("logs of the switch shortened", 1, freed_bytes))
    return results


def prune_data_docs(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Delete the Data Docs of all but the newest business dates of each suite."""
    from parc.quality import pages

    runs, size = pages.prune(settings.home / "data_docs", DATES_WITH_DATA_DOCS, dry_run=dry_run)
    return [MaintenanceResult("runs of checks deleted from Data Docs", runs, size)] if runs else []


def analyze(settings: Settings, dry_run: bool = False) -> list[MaintenanceResult]:
    """Renew the statistics of the partitioned raw tables."""
    return maintenance.analyze(settings, dry_run=dry_run)


STEPS: Mapping[str, Callable[[Settings, bool], list[MaintenanceResult]]] = MappingProxyType(
    {
        "expire_raw": expire_raw,
        "unlink_facts": unlink_facts,
        "clear_orphans": clear_orphans,
        "prune_history": prune_history,
        "prune_data_docs": prune_data_docs,
        "analyze": analyze,
    }
)
"""Each step by its name in Airflow: (settings, dry_run) -> what it did, or would do."""
