"""What the processes of `support.preloaded` have imported."""

import dbt.adapters.postgres
import dbt.cli.main
import great_expectations
import rich.console
import rich.table
import typer

import parc.build.dbt_process
import parc.loading.worker
import parc.nightly

__all__ = ["dbt", "great_expectations", "parc", "rich", "typer"]
