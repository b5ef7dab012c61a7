"""List and replay quarantined rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from parc.cli.printing import Day, Json, dump, say, table, waiting
from parc.errors import DeliveryRefused
from parc.findings import with_steps
from parc.ledger.quarantine import RejectedRow, shown
from parc.settings import Settings

app = typer.Typer(no_args_is_help=True, help=__doc__)
DeliveryId = Annotated[int, typer.Argument(help="Number of the delivery, as shown by `list`.")]


@app.command("list")
def quarantine_list(
    feed: Annotated[str | None, typer.Argument(help="A feed; default: all.")] = None,
    day: Day = None,
    as_json: Json = False,
) -> None:
    """List quarantined rows by delivery and rule, newest delivery first."""
    from parc.loading import held

    found = held(Settings.from_env(), feed, day.date() if day else None)
    if as_json:
        dump([asdict(each) for each in found])
        return
    rows = [
        {
            "delivery": each.delivery_id,
            "feed": each.feed,
            "date": each.business_date,
            "status": each.status,
            "rows": f"{each.row_count:,}",
            "reason": each.reason,
            "first": f"{each.first_file} line {each.first_line}",
        }
        for each in found
    ]
    table("Quarantine", rows, spare=("status",))
    for each in {each.delivery_id: each for each in found}.values():
        if each.rows_kept < each.rows_rejected:
            many = shown(each.rows_kept, each.rows_kept, each.rows_rejected)
            say(f"delivery {each.delivery_id}: {many}")


@app.command("show")
def quarantine_show(
    delivery: DeliveryId,
    limit: Annotated[int, typer.Option(help="Rows to show.", min=1, max=1_000_000)] = 100,
    as_json: Json = False,
) -> None:
    """Show a delivery's quarantined rows: where each is, which rule it broke, its text with personal columns
    masked; and the paths of the delivery's files."""
    from parc.loading import quarantine

    found, kept_count, rejected = quarantine.rows(Settings.from_env(), delivery, limit)
    if as_json:
        dump([asdict(row) for row in rejected])
        return
    rows = [
        {
            "file": row.file_name,
            "line": row.line_number,
            "column": row.column_name,
            "value": next((value for _, value, is_bad in row.cells if is_bad), None),
            "reason": row.reason,
            "row": _row(row),
        }
        for row in rejected
    ]
    many = shown(len(rejected), kept_count, found.rows_rejected)
    table(f"Quarantine of delivery {delivery}: {many}", rows)
    if len(rejected) < kept_count:
        say(f"--limit {kept_count} shows all that are kept")
    verdict = f": {found.reason}" if found.reason else ""
    say(f"{found.feed} {found.business_date}, {found.status}{verdict}")
    for file in found.files:
        say(file["uri"])


def _row(row: RejectedRow) -> str | None:
    """The row with the name of each value; an arrow marks the one that broke the rule."""
    cells = [f"{'->' if is_bad else ''}{name}={value}" for name, value, is_bad in row.cells]
    return ", ".join(cells) or row.row_text


@app.command("replay")
def quarantine_replay(delivery: DeliveryId, as_json: Json = False) -> None:
    """Read a delivery's files again with the current rules, and publish the rows that pass."""
    from parc.loading import replay

    with waiting("reading the files"):
        outcome = replay(Settings.from_env(), delivery)
    if as_json:
        dump(asdict(outcome))
    else:
        say(with_steps(outcome.message, outcome.steps))
        for warning in outcome.warnings:
            say(f"  warning: {warning}")
    if outcome.is_failure:
        raise typer.Exit(DeliveryRefused.exit_code)
