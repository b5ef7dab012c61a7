"""The `boutiques` feed: the operator's boutiques, as a full snapshot."""

from parc.feeds.declaration import DEPARTMENT, Column, Feed, Keeping, Retention, Type, Window

LIFE = Window(36_525, 1_100)

BOUTIQUES = Feed(
    name="boutiques",
    grain="One row per boutique of a snapshot.",
    keeping=Keeping.SNAPSHOTS,
    columns=(
        Column("boutique_code", Type.TEXT, "Code of the boutique."),
        Column("name", Type.TEXT, "Name of the boutique."),
        Column("department_code", Type.TEXT, "Department in which it is.", form=DEPARTMENT),
        Column("opened_on", Type.DATE, "First day on which it was open.", window=LIFE),
        Column(
            "closed_on",
            Type.DATE,
            "First day on which it is closed for good; null = it is open.",
            nullable=True,
            window=LIFE,
            open_ended=True,
        ),
    ),
    key=("boutique_code",),
    retention=Retention(
        400,
        "As long as the visits that it governs.",
    ),
    governs=("boutique_visits",),
    in_order=(("opened_on", "closed_on"),),
)
