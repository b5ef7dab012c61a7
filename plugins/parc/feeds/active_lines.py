"""The `active_lines` feed: the denominator of the call rate."""

from parc.feeds.declaration import DEPARTMENT, MARKETS, Column, Feed, Keeping, Retention, Type, Window

ACTIVE_LINES = Feed(
    name="active_lines",
    grain="One row per month, department and market of a snapshot; the markets partition the lines.",
    keeping=Keeping.SNAPSHOTS,
    columns=(
        Column("month", Type.MONTH, "Month, as its first day.", window=Window(3_660, 732)),
        Column(
            "department_code",
            Type.TEXT,
            "Department of the lines.",
            form=DEPARTMENT,
        ),
        Column("market", Type.TEXT, "Market of the lines.", one_of=MARKETS),
        Column("lines", Type.INTEGER, "Lines in service.", at_least=0, at_most=3_000_000),
    ),
    key=("month", "department_code", "market"),
    retention=Retention(
        None,
        "The denominator of every month's rates, those of the field units included. A snapshot has a few "
        "hundred rows and names nobody.",
    ),
)
