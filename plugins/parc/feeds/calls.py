"""The `calls` feed: who called, when, who answered."""

from parc.feeds.declaration import (
    DEPARTMENT,
    MARKETS,
    Column,
    Derivation,
    Derived,
    Feed,
    Form,
    Keeping,
    Needs,
    Personal,
    Retention,
    Type,
    Window,
)

SAME_CALL = Window(0, 1)
SERVICE_NUMBER = Form(
    r"0?[1-9][0-9]{1,4}|[1-9][0-9]{5}|(?:0|33|\+33|0033)8[0129][0-9]{7}",
    "a service number (0800123456) or a short code (3900)",
    spellings=((r"^(?:\+33|0033|00)([1-9][0-9]{1,5})$", "${1}"),),  # 39-00, +33 3900, 003900
)

A_DAY = 86_400
"""Longest duration in seconds. A contact lasts hours at most; more than a day means another unit or a
placeholder."""

CALLS = Feed(
    name="calls",
    grain="One row per call leg; the legs of a contact (transfers) share its `call_id`.",
    keeping=Keeping.DAYS,
    columns=(
        Column("call_id", Type.TEXT, "The root contact: the same on every leg."),
        Column("leg_no", Type.SMALLINT, "Number of the leg in its contact, from 1.", at_least=1),
        Column(
            "offered_at", Type.INSTANT, "When the root contact reached the service; the same on every leg."
        ),
        Column(
            "queued_at",
            Type.INSTANT,
            "When it left the IVR for a queue; null = never.",
            nullable=True,
            window=SAME_CALL,
        ),
        Column(
            "answered_at",
            Type.INSTANT,
            "When an agent picked up; null = nobody did.",
            nullable=True,
            window=SAME_CALL,
        ),
        Column("ended_at", Type.INSTANT, "When the leg ended.", window=SAME_CALL),
        Column(
            "caller_number",
            Type.TEXT,
            "The caller's number in any spelling; empty, anonymous, restricted, unavailable and +266696687 "
            "mean withheld.",
            nullable=True,
            personal=Personal.NUMBER,
        ),
        Derived(
            "caller_key", "caller_number", Derivation.KEY, "HMAC of the caller's number; null = withheld."
        ),
        Derived(
            "caller_prefix",
            "caller_number",
            Derivation.PREFIX,
            "First six digits of the caller's national number (`029912`); null = withheld or foreign.",
        ),
        Column(
            "dialled_number",
            Type.TEXT,
            "The service number that was called (`3900`).",
            masked_unless=SERVICE_NUMBER,
            listed_in="service_numbers.dialled_number",
        ),
        Column("market", Type.TEXT, "Market of the call.", one_of=MARKETS),
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
        Column(
            "line_department",
            Type.TEXT,
            "Department of the customer's line, from the customer file, when identified.",
            nullable=True,
            form=DEPARTMENT,
        ),
        Column(
            "site_code",
            Type.TEXT,
            "Site that answered, or where the leg was queued.",
            nullable=True,
            is_code=True,
            listed_in="sites.site_code",
        ),
        Column("queue_code", Type.TEXT, "Queue of the leg.", nullable=True, is_code=True),
        Column(
            "outcome",
            Type.TEXT,
            "How the leg ended.",
            one_of=("answered", "abandoned", "ivr_resolved", "overflowed", "blocked"),
        ),
        Column("agent_ref", Type.TEXT, "Agent who answered.", nullable=True, personal=Personal.REFERENCE),
        Derived("agent_key", "agent_ref", Derivation.KEY, "HMAC of the agent; null = nobody answered."),
        Column("hold_s", Type.INTEGER, "Seconds on hold.", nullable=True, at_least=0, at_most=A_DAY),
        Column("talk_s", Type.INTEGER, "Seconds of talk.", nullable=True, at_least=0, at_most=A_DAY),
        Column(
            "wrap_up_s",
            Type.INTEGER,
            "Seconds of work after the call.",
            nullable=True,
            at_least=0,
            at_most=A_DAY,
        ),
        Column(
            "transferred_to",
            Type.TEXT,
            "Queue or site the leg was transferred to.",
            nullable=True,
            is_code=True,
            listed_in="sites.site_code",
        ),
        Column(
            "reason_code",
            Type.TEXT,
            "Reason of the call, as the agent coded it.",
            nullable=True,
            is_code=True,
        ),
        Column("satisfaction", Type.SMALLINT, "Survey answer.", nullable=True, at_least=1, at_most=5),
        Column("recommend", Type.SMALLINT, "Survey: would recommend.", nullable=True, at_least=0, at_most=10),
        Derived(
            "customer_identity",
            "customer_key",
            Derivation.IDENTITY,
            "Identity of the customer across channels; null = not identified.",
        ),
        Derived(
            "caller_identity",
            "caller_key",
            Derivation.IDENTITY,
            "Identity of the number, where the customer is not identified; null = withheld.",
            unless=("customer_ref",),
        ),
        Derived(
            "row_identity",
            "call_id",
            Derivation.ROW,
            "Identity of the contact, where neither customer nor number is known.",
            unless=("customer_ref", "caller_number"),
        ),
    ),
    key=("call_id", "leg_no"),
    retention=Retention(
        400,
        "A year and a month, so that a changed formula still reaches the same month a year before. Legs name "
        "agents; what the figures need in the long run is in the marts.",
    ),
    in_order=(("offered_at", "queued_at", "answered_at", "ended_at"),),
    needs=(Needs("outcome", "answered", ("queued_at", "answered_at")),),
    dated_by="offered_at",
)
