"""What the processes of `support.preloaded` start with: libraries, and the dbt project as dbt parses it."""

import gc
import os
import tempfile
from pathlib import Path

import pytest
import rich.console
import rich.table
import typer

from parc.imports import first_import
from parc.settings import PROJECT

with first_import("great_expectations"):
    import adbc_driver_postgresql.dbapi
    import dbt.adapters.postgres
    import dbt.task.build
    import great_expectations
    from dbt.cli.main import cli
    from dbt.contracts.graph.manifest import Manifest

    import parc.build.dbt_process
    import parc.cli
    import parc.loading.worker
    import parc.nightly

__all__ = ["adbc_driver_postgresql", "dbt", "great_expectations", "parc", "rich", "typer"]

SOME_DATABASE = {
    "PARC_PG_HOST": "localhost",
    "PARC_PG_PORT": "5432",
    "PARC_PG_USER": "nobody",
    "PARC_PG_PASSWORD": "none",
    "PARC_PG_DATABASE": "none",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


def parse(folder: Path) -> Manifest:
    """What dbt makes of the project, without a database."""
    folders = ["--project-dir", str(PROJECT / "dbt_project"), "--profiles-dir", str(PROJECT / "dbt_project")]
    folders += ["--target-path", str(folder), "--log-path", str(folder)]
    # Its other parser starts threads, which a process that forks must not have.
    arguments = ["parse", "--no-static-parser", *folders, *parc.build.dbt_process.QUIET]
    context = cli.make_context(cli.name, arguments)
    context.obj = {"manifest": None, "callbacks": []}
    cli.invoke(context)
    manifest: Manifest = context.obj["manifest"]
    return manifest


def parsed(arguments: list[str]) -> Manifest | None:
    """The checkout's project for a command of dbt, in the database of the environment; None for a command on
    another project, or one with variables, which change how dbt reads it.

    Parsing takes more processor time than most builds, and only the database's name differs.
    """
    project = arguments[arguments.index("--project-dir") + 1]
    if Path(project) != PROJECT / "dbt_project" or "--vars" in arguments:
        return None
    before, database = SOME_DATABASE["PARC_PG_DATABASE"], os.environ["PARC_PG_DATABASE"]
    semantic = [each.node_relation for each in MANIFEST.semantic_models.values()]
    for relation in [*MANIFEST.nodes.values(), *MANIFEST.sources.values(), *filter(None, semantic)]:
        relation.database = database
        if relation.relation_name:
            relation.relation_name = relation.relation_name.replace(f'"{before}".', f'"{database}".', 1)
    return MANIFEST


with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory() as folder:
    for name, value in SOME_DATABASE.items():
        environment.setenv(name, value)
    for _ in range(2):  # the second time it learns to read what the first one has kept
        MANIFEST = parse(Path(folder))
parc.cli.command()
del os.environ["PYTHONPATH"]
gc.collect()
gc.freeze()  # otherwise each fork copies all pages when it collects garbage
