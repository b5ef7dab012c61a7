"""
### Ingest a feed

**Purpose.** Loads the deliveries of one feed from the landing zone into the warehouse: checks them row by row
and as a whole, replaces persons by pseudonyms, and publishes each as the partition of its business date.

**Grain.** One run loads one business date (the day before the nightly tick, Europe/Paris), or the dates that
you name when you trigger it. The dates of a backfill are business dates.

**Late data.** A nightly run waits for its delivery, without holding a slot, until a quarter of an hour before
the marts are built. Then `report` fails and names what is missing; `ingest_late` loads it when it arrives.
Runs that you trigger, and backfills, never wait. Whatever the order of arrival, the marts end up the same.

**Rerun.** Always safe: the same bytes again change nothing, other bytes restate the day.

**Triage.** `report` names the delivery and the reason. `parc sql "select * from ops.delivery order by 1 desc
limit 20"` shows the ledger; `ops.quarantine` holds the rejected rows. A refused delivery leaves the published
day unchanged: have it sent again, and `ingest_late` loads it, or run the day again.
"""

from parc.orchestration.ingest import IngestSpec, ingest_dag

# Airflow parses only files that contain the words "airflow" and "dag": this comment has both.
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
