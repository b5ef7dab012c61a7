"""
### Ingest a feed

**Purpose.** Takes the deliveries of one feed from the landing zone into the warehouse: read, checked row by
row and as a whole, pseudonymised, and published as their business date's partition.

**Grain.** One run loads one business date (the day before the nightly tick, Europe/Paris), or the dates
named when it is triggered by hand.

**Late data.** A nightly tick waits for what is due, holding no slot, until a quarter of an hour before the
marts are built; then `report` fails and says what is missing. When it comes, `ingest_late` loads it. Runs
started by hand and backfills never wait. Any order of arrival ends in the same marts.

**Rerun.** Always safe: the same bytes again are a no-op, other bytes are a restatement of the day.

**Triage.** `report` names the delivery and the reason. `parc sql "select * from ops.delivery order by 1 desc
limit 20"` shows the ledger, `ops.quarantine` the rows that were held back. A refused delivery leaves the
published day as it was: have it sent again, and `ingest_late` loads it; or run the day again.
"""

from parc.orchestration.ingest import IngestSpec, ingest_dag

# Airflow reads only DAG files in which both of these words stand.
SPECS = (
    IngestSpec("numbering_plan", cron="0 1 * * *", owner="routing"),
    IngestSpec("line_assignments", cron="10 1 * * *", owner="routing"),
    IngestSpec("active_lines", cron="20 1 * * *", owner="customer-service"),
    IngestSpec("boutiques", cron="30 1 * * *", owner="retail"),
    IngestSpec("calls", cron="0 2 * * *", owner="customer-service"),
    IngestSpec("boutique_visits", cron="10 2 * * *", owner="retail"),
    IngestSpec("interventions", cron="20 2 * * *", owner="field-service"),
)

for spec in SPECS:
    globals()[f"ingest_{spec.feed}"] = ingest_dag(spec, doc_md=__doc__)
