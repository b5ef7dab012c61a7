"""The `boutique_visits` feed: who came to a boutique, how long they waited, how they left."""

from parc.feeds.declaration import (
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

SAME_VISIT = Window(0, 1)

BOUTIQUE_VISITS = Feed(
    name="boutique_visits",
    grain="One row per visitor ticket.",
    keeping=Keeping.DAYS,
    columns=(
        Column("visit_id", Type.TEXT, "The visitor's ticket."),
        Column("boutique_code", Type.TEXT, "Boutique that was visited.", is_code=True),
        Column("arrived_at", Type.INSTANT, "When the ticket was drawn."),
        Column(
            "served_at", Type.INSTANT, "When service began; null = never.", nullable=True, window=SAME_VISIT
        ),
        Column("left_at", Type.INSTANT, "When the visitor left.", window=SAME_VISIT),
        Column(
            "customer_ref",
            Type.TEXT,
            "The customer, when identified.",
            nullable=True,
            personal=Personal.REFERENCE,
        ),
        Derived(
            "customer_key", "customer_ref", Derivation.KEY, "HMAC of the customer; null = not identified."
        ),
        Column("reason_code", Type.TEXT, "Reason of the visit, as the boutique coded it.", is_code=True),
        Column("outcome", Type.TEXT, "How the visit ended.", one_of=("served", "left_unserved", "sale")),
        Column("satisfaction", Type.SMALLINT, "Survey answer.", nullable=True, at_least=1, at_most=5),
        Derived(
            "customer_identity",
            "customer_key",
            Derivation.IDENTITY,
            "Identity of the customer across channels; null = not identified.",
        ),
        Derived(
            "row_identity",
            "visit_id",
            Derivation.ROW,
            "Identity of the visit, where the customer is not known.",
            unless=("customer_ref",),
        ),
    ),
    key=("visit_id",),
    retention=Retention(
        400,
        "As long as the calls, because the two are analysed together across channels.",
    ),
    in_order=(("arrived_at", "served_at", "left_at"),),
    dated_by="arrived_at",
)
