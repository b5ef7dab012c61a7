"""The `numbering_plan` feed: which geographic number block belongs where."""

from parc.feeds.declaration import DEPARTMENT, Column, Feed, Form, Keeping, Retention, Type

NUMBERING_PLAN = Feed(
    name="numbering_plan",
    grain="One row per number block (national prefix) of a snapshot.",
    keeping=Keeping.SNAPSHOTS,
    columns=(
        Column(
            "prefix",
            Type.TEXT,
            "National prefix of the block, leading zero included.",
            form=Form("0[0-9]{3,5}", "a national prefix of 4 to 6 digits with its leading zero"),
        ),
        Column("operator_code", Type.TEXT, "Operator the block is assigned to.", nullable=True),
        Column(
            "zne_insee",
            Type.TEXT,
            "INSEE code of the chief town of the block's elementary numbering zone; null = not located.",
            nullable=True,
            form=Form("2[AB][0-9]{3}|[0-9]{5}", "an INSEE commune code"),
        ),
        Column("zne_name", Type.TEXT, "Name of that town.", nullable=True),
        Column(
            "department_code",
            Type.TEXT,
            "Department of that town; `20` = Corse, not told apart.",
            nullable=True,
            form=DEPARTMENT,
        ),
        Column("region_2012", Type.TEXT, "Name of its region of 2012.", nullable=True),
    ),
    key=("prefix",),
    retention=Retention(
        400,
        "As the calls that it governs; each snapshot is 18,000 rows here and as many in routing_prefixes.",
    ),
    governs=("calls",),
)
