"""The `interventions` feed: the field units' jobs, one row each time a job changes."""

from parc.feeds.declaration import (
    DEPARTMENT,
    MARKETS,
    Column,
    Derivation,
    Derived,
    Feed,
    Keeping,
    Personal,
    Retention,
    Type,
    Window,
)

RECENT = Window(31, 1)
"""An extract may include changes that an earlier one missed."""
PAST = Window(3_660, 1)
SLOT = Window(3_660, 366)

INTERVENTIONS = Feed(
    name="interventions",
    grain="One row per job and change: the job as it stood then. The newest row is the job's state.",
    keeping=Keeping.DAYS,
    columns=(
        Column("job_id", Type.TEXT, "The job."),
        Column("updated_at", Type.INSTANT, "When the job was created or changed.", window=RECENT),
        Column(
            "unit_code",
            Type.TEXT,
            "Field unit in charge.",
            is_code=True,
            listed_in="intervention_units.unit_code",
        ),
        Column("kind", Type.TEXT, "What is to be done.", one_of=("installation", "repair")),
        Column("market", Type.TEXT, "Market of the line.", one_of=MARKETS),
        Column("customer_ref", Type.TEXT, "The customer.", nullable=True, personal=Personal.REFERENCE),
        Derived("customer_key", "customer_ref", Derivation.KEY, "HMAC of the customer; null = not known."),
        Column("line_ref", Type.TEXT, "The line.", nullable=True, personal=Personal.REFERENCE),
        Derived("line_key", "line_ref", Derivation.KEY, "HMAC of the line; null = not known."),
        Column("department_code", Type.TEXT, "Department of the job.", form=DEPARTMENT),
        Column("requested_at", Type.INSTANT, "When the customer asked for it.", window=PAST),
        Column(
            "first_slot_offered_at",
            Type.INSTANT,
            "Start of the first slot that the customer was offered; null = none yet.",
            nullable=True,
            window=SLOT,
        ),
        Column(
            "slot_start", Type.INSTANT, "Start of the slot agreed; null = none.", nullable=True, window=SLOT
        ),
        Column("slot_end", Type.INSTANT, "End of the slot agreed; null = none.", nullable=True, window=SLOT),
        Column(
            "rescheduled_by",
            Type.TEXT,
            "Who moved the slot; null = not moved.",
            nullable=True,
            one_of=("customer", "operator"),
        ),
        Column(
            "arrived_at",
            Type.INSTANT,
            "When the technician arrived; null = not yet.",
            nullable=True,
            window=PAST,
        ),
        Column(
            "closed_at", Type.INSTANT, "When the job was closed; null = open.", nullable=True, window=PAST
        ),
        Column(
            "result",
            Type.TEXT,
            "Result of the job; null = open.",
            nullable=True,
            one_of=("done", "incomplete", "customer_absent", "technician_absent", "cancelled"),
        ),
        Column("cause_code", Type.TEXT, "Cause found.", nullable=True, is_code=True),
        Derived(
            "customer_identity",
            "customer_key",
            Derivation.IDENTITY,
            "Identity of the customer across channels; null = not known.",
        ),
        Derived(
            "row_identity",
            "job_id",
            Derivation.ROW,
            "Identity of the job, where the customer is not known.",
            unless=("customer_ref",),
        ),
    ),
    key=("job_id", "updated_at"),
    retention=Retention(
        800,
        "A job's states arrive over months, and the whole rollout of 2012 and 2013 can still be recomputed. "
        "There are few rows, and they name no agent.",
    ),
    in_order=(("requested_at", "arrived_at", "closed_at"), ("slot_start", "slot_end")),
)
