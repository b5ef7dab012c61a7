"""What the processes of `support.preloaded` have imported."""

import dbt.adapters.postgres
import dbt.cli.main
import great_expectations

import parc.build.dbt_process
import parc.loading.worker

__all__ = ["dbt", "great_expectations", "parc"]
