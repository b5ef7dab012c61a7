"""The `line_assignments` feed: numbers whose line is not where their prefix says."""

from parc.feeds.declaration import (
    DEPARTMENT,
    Column,
    Derivation,
    Derived,
    Feed,
    Keeping,
    Personal,
    Retention,
    Type,
)

LINE_ASSIGNMENTS = Feed(
    name="line_assignments",
    grain="One row per number and validity range.",
    keeping=Keeping.RANGES,
    columns=(
        Column("number", Type.TEXT, "The line's number.", personal=Personal.NUMBER),
        Derived("caller_key", "number", Derivation.KEY, "HMAC of the number, as in the calls."),
        Column(
            "department_code",
            Type.TEXT,
            "Department in which the line is.",
            form=DEPARTMENT,
        ),
        Column("reason", Type.TEXT, "Why the prefix misleads.", one_of=("ported", "voip", "mobile", "moved")),
    ),
    key=("number",),
    retention=Retention(
        400,
        "These are people's numbers, and a range that ended before the oldest kept call is of no use.",
    ),
    governs=("calls",),
    number_table="line_assignment",
)
