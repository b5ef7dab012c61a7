"""dbt as a child process: reads one command per line, and writes the results.

`parc.build.dbt` starts it, so that all commands of a build share the imports and the parsed project. dbt's
own logs are off, because writing some 5,000 events three times takes a fifth of its time. The important ones
go to the log file named by the first argument and, as lines of JSON, to the parent: `error`,
`finished` (a node), `ended` (the command).
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from typing import Any

from parc.imports import first_import
from parc.wording import counted

with first_import("dbt"):
    from dbt.artifacts.schemas.run import RunExecutionResult
    from dbt.cli.exceptions import ExceptionExit, ResultExit
    from dbt.cli.main import cli
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FAILED = ("error", "fail")
QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-use-colors")

log = logging.getLogger("parc.dbt")


def main(log_file: str, parsed: Callable[[list[str]], Manifest | None] = lambda arguments: None) -> None:
    """Run the commands from the input, each a JSON list of dbt's arguments, until the input ends.

    The first command parses the project, unless `parsed` gives what was parsed before.
    """
    log.addHandler(RotatingFileHandler(log_file, maxBytes=10_000_000, backupCount=5, encoding="utf-8"))
    log.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    log.setLevel(logging.INFO)
    log.propagate = False
    manifest: Manifest | None = None
    for line in sys.stdin:
        arguments = json.loads(line)
        manifest = manifest or parsed(arguments)
        if manifest and arguments[:2] == ["docs", "generate"]:
            _name_as_bi_does(manifest)
        # Does what dbt's own runner does, which does not expose the manifest.
        context = cli.make_context(cli.name, [*arguments, *QUIET])
        context.obj = {"manifest": manifest, "callbacks": [_handle]}
        try:
            result, _ = cli.invoke(context)
        except ResultExit as some_failed:
            result = some_failed.result
        except ExceptionExit:
            _report(ended=None)  # the error has already been reported
            continue
        manifest = context.obj["manifest"]
        assert isinstance(manifest, Manifest)
        _report(ended=_outcome(context.obj["flags"].TARGET_PATH, result, manifest))


def _name_as_bi_does(manifest: Manifest) -> None:
    """Give the published models the schema in which BI reads them."""
    for node in manifest.nodes.values():
        if "publish" in node.config.meta:
            node.relation_name = str(node.relation_name).replace(f'"{node.schema}".', '"marts".')
            node.schema = node.config.schema = "marts"
    for semantic_model in manifest.semantic_models.values():
        relation, [model] = semantic_model.node_relation, semantic_model.depends_on.nodes
        assert relation is not None
        relation.schema_name = manifest.nodes[model].schema
        relation.relation_name = manifest.nodes[model].relation_name


def _report(**what: Any) -> None:
    print(json.dumps(what, default=str), flush=True)


def _handle(event: EventMsg) -> None:
    info: Any = event.info
    if info.level in LEVELS and info.msg:
        log.log(LEVELS[info.level], info.msg)
    if info.level == "error":
        _report(error=info.msg.strip())
    if re.fullmatch("Log.*Result|SkippingDetails", info.name):
        data: Any = event.data
        facts = [data.node_info.node_name, data.node_info.node_status]
        if info.name != "SkippingDetails":
            facts.append(f"{data.execution_time:.2f} s")
        if getattr(data, "num_failures", 0):
            facts.append(counted(data.num_failures, "row breaks it", "rows break it"))
        _report(finished=" ".join(facts), total=getattr(data, "total", 0) or getattr(data, "num_models", 0))


def _outcome(target: str, result: Any, manifest: Manifest) -> dict[str, Any]:
    """The results, and the parts of the manifest that `parc.build` needs; writes dbt's files after a
    failure."""
    results = result.results if isinstance(result, RunExecutionResult) else []
    if any(each.status in FAILED for each in results):
        result.write(f"{target}/run_results.json")
        manifest.write(f"{target}/manifest.json")
    manifest.build_parent_and_child_maps()
    known = {**manifest.nodes, **manifest.unit_tests, **manifest.exposures}
    return {
        "results": [
            {
                "unique_id": each.node.unique_id,
                "status": each.status,
                "seconds": each.execution_time,
                "message": each.message,
                "failures": each.failures,
                "rows_affected": each.adapter_response.get("rows_affected", -1),
                "compiled_code": getattr(each.node, "compiled_code", None),
            }
            for each in results
        ],
        "entries": {unique_id: _entry(node) for unique_id, node in known.items()},
        "children": {
            parent: [child for child in children if child in known]
            for parent, children in manifest.child_map.items()
        },
    }


def _entry(node: Any) -> dict[str, Any]:
    test = getattr(node, "test_metadata", None)
    return {
        "name": node.name,
        "kind": node.resource_type,
        "reads": getattr(node.depends_on, "nodes", []),  # a seed reads nothing
        "meta": node.config.meta if node.config else {},
        "description": node.description,
        "path": getattr(node, "compiled_path", None) or node.original_file_path,
        "raw_code": getattr(node, "raw_code", "") if node.resource_type == "test" else "",
        "model": getattr(node, "model", None),
        "generic": {"name": test.name, "arguments": test.kwargs} if test else None,
        "demands": _demands(node) if node.resource_type == "model" else {},
        **(_table(node) if node.resource_type == "model" else {}),
    }


def _table(model: Any) -> dict[str, Any]:
    """The columns of the model's contract, and the table that it adds to if it is incremental."""
    return {
        "contract": list(model.columns) if model.contract.enforced else [],
        "kept_table": model.relation_name if model.config.materialized == "incremental" else None,
    }


def _demands(model: Any) -> dict[str, str]:
    """The constraints of the model's contract: the name of each one, and its SQL condition."""
    demands = {
        f"{column.name} is there": f'"{column.name}" is not null'
        for column in model.columns.values()
        for constraint in column.constraints
        if constraint.type == "not_null"
    }
    checks = [constraint for constraint in model.constraints if constraint.type == "check"]
    return demands | {constraint.name: constraint.expression for constraint in checks}


if __name__ == "__main__":
    main(sys.argv[1])
