"""Runs suites on demand, on published data and on the inputs of the next release."""

from __future__ import annotations

from typing import Annotated

import typer

from parc.cli.printing import Day, Json, dump, say, table
from parc.errors import DeliveryRefused, RoutingRefused
from parc.settings import Settings

app = typer.Typer()


@app.command()
def check(
    suite: Annotated[
        str | None,
        typer.Argument(help="landing/<feed>, export/routing or seeds; without it, lists all suites."),
    ] = None,
    day: Day = None,
    as_json: Json = False,
) -> None:
    """Check a date's published data, the inputs of its routing release, or the seeds."""
    from parc import quality
    from parc.build import seeds
    from parc.quality.verdict import figure

    settings = Settings.from_env()
    if suite is None:
        rows = [
            {
                "suite": each.name,
                "expectations": each.expectations,
                "refuse": each.critical,
                "warn": each.warning,
                "owners": ", ".join(each.owners),
            }
            for each in quality.suites(settings)
        ]
        dump(rows) if as_json else table(None, rows)
        return
    if suite == "seeds":
        read = seeds.read(settings.project / "dbt_project" / "seeds")
        dump({"outcome": "passed", "seeds": sorted(read)}) if as_json else say(f"{len(read)} seeds are sound")
        return
    if day is None:
        raise typer.BadParameter("name the business date: --date D")
    verdict = quality.check(settings, suite, day.date())
    violations = [each.message for each in (*verdict.failures, *verdict.warnings)]
    page = quality.data_docs(settings) / (verdict.page or "")
    rows = [
        {
            "result": each.status,
            "expectation": each.expectation,
            "what must hold": each.sentence,
            "observed": each.observed if as_json else figure(each.observed),
            "limit": each.limit,
            "owner": each.owner,
        }
        for each in verdict.judgements
    ]
    if as_json:
        dump({"outcome": verdict.outcome, "violations": violations, "expectations": rows, "page": page})
    else:
        table(None, rows)
        for violation in violations:
            say(f"- {violation}")
        say(f"{verdict.outcome}; Data Docs: {page}")
    if not verdict.passed:
        refused = RoutingRefused if suite.startswith("export/") else DeliveryRefused
        raise typer.Exit(refused.exit_code)
