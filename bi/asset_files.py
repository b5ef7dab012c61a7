"""The files in `bi/assets`: what Superset exports, without what differs between two machines, sorted.

What a file leaves out has its default value; `filled` puts it back for Superset's importer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

ASSETS = Path(__file__).parent / "assets"
METADATA = "metadata.yaml"
VERSION = "1.0.0"

Document = dict[str, Any]

DEFAULTS: dict[str, Document] = {
    "databases": {
        "allow_csv_upload": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_run_async": False,
        "cache_timeout": None,
        "configuration_method": "sqlalchemy_form",
        "expose_in_sqllab": True,
        "impersonate_user": False,
        "extra": {},
    },
    "datasets": {
        "always_filter_main_dttm": False,
        "cache_timeout": None,
        "catalog": None,
        "currency_code_column": None,
        "default_endpoint": None,
        "description": None,
        "extra": None,
        "fetch_values_predicate": None,
        "filter_select_enabled": True,
        "folders": None,
        "main_dttm_col": None,
        "normalize_columns": False,
        "offset": 0,
        "params": None,
        "schema": None,
        "sql": None,
        "template_params": None,
    },
    "columns": {
        "advanced_data_type": None,
        "datetime_format": None,
        "description": None,
        "expression": None,
        "extra": None,
        "filterable": True,
        "groupby": True,
        "is_active": True,
        "is_dttm": False,
        "python_date_format": None,
        "type": None,
        "verbose_name": None,
    },
    "metrics": {
        "currency": None,
        "d3format": None,
        "description": None,
        "extra": None,
        "metric_type": None,
        "verbose_name": None,
        "warning_text": None,
    },
    "charts": {
        "cache_timeout": None,
        "certification_details": None,
        "certified_by": None,
        "description": None,
        "query_context": None,
    },
    "dashboards": {
        "certification_details": None,
        "certified_by": None,
        "css": None,
        "description": None,
        "published": True,
        "theme_uuid": None,
    },
}
DERIVED = {
    "charts": {"query_context"},
    "params": {
        "annotation_layers",
        "dashboardId",
        "dashboards",
        "datasource",
        "extra_form_data",
        "query_context",
        "slice_id",
        "url_params",
        "viz_type",
    },
    "metadata": {
        "chart_configuration",
        "global_chart_configuration",
        "map_label_colors",
        "shared_label_colors",
    },
}
"""What Superset makes again by itself."""
NO_COLORS: Document = {
    "color_scheme_domain": [],
    "label_colors": {},
    "map_label_colors": {},
    "shared_label_colors": [],
}
"""What a dashboard must say of its colours, or each reader's browser tries to write it there."""
CHILDREN = {"columns": "column_name", "metrics": "metric_name"}


class Dumper(yaml.SafeDumper):
    """Writes a value again where it stands again, and a text of several lines as lines."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


Dumper.add_representer(str, _text)


def file_name(title: str) -> str:
    """The name of the file of a chart or a dashboard."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def chart_id(uuid: str) -> int:
    """The number by which a file names a chart; Superset gives it another."""
    return int(uuid.replace("-", "")[:7], 16)


def tidied(kind: str, exported: Mapping[str, Any]) -> Document:
    """A document as its file has it."""
    document = _without_defaults(exported, kind)
    document.pop("version", None)
    for part in ("params", "metadata"):
        if part in document:
            document[part] = {
                key: value
                for key, value in document[part].items()
                if key not in DERIVED[part] and value not in (None, "", [], {})
            }
    if kind == "datasets":
        for part, name in CHILDREN.items():
            children = [_without_defaults(child, part) for child in document.get(part) or []]
            document[part] = sorted(children, key=lambda child: child[name])
    if kind == "dashboards":
        _rename_charts(document)
    return document


def filled(kind: str, document: Mapping[str, Any]) -> Document:
    """A document as Superset imports it."""
    whole = {**DEFAULTS[kind], **document, "version": VERSION}
    if kind == "datasets":
        for part in CHILDREN:
            whole[part] = [{**DEFAULTS[part], **child} for child in whole.get(part) or []]
    if kind == "charts":
        whole["params"] = {**whole["params"], "viz_type": whole["viz_type"]}
    if kind == "dashboards":
        whole["metadata"] = {**NO_COLORS, **whole.get("metadata", {})}
    return whole


def text(document: Mapping[str, Any]) -> str:
    """A document as a file."""
    return yaml.dump(dict(document), Dumper=Dumper, sort_keys=True, allow_unicode=True, width=120)


def read(folder: Path = ASSETS) -> dict[str, str]:
    """The files of a folder, by their path in it."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.yaml"))}


def write(files: Mapping[str, str], folder: Path = ASSETS) -> list[str]:
    """Make a folder hold exactly these files; returns the paths of those that changed."""
    before = read(folder)
    for path in before.keys() - files.keys():
        (folder / path).unlink()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if before.get(path) != content:
            (folder / path).write_text(content)
    return sorted(path for path in before.keys() | files.keys() if before.get(path) != files.get(path))


def digest(files: Mapping[str, str]) -> str:
    """One word for a folder's content."""
    return sha256("".join(f"{path}\0{files[path]}\0" for path in sorted(files)).encode()).hexdigest()


def importable(files: Mapping[str, str]) -> dict[str, str]:
    """The files as Superset's importer takes them."""
    made = {METADATA: text({"version": VERSION, "type": "assets"})}
    for path, content in files.items():
        kind = path.partition("/")[0]
        made[path] = yaml.safe_dump(filled(kind, yaml.load(content, yaml.CSafeLoader)), sort_keys=False)
    return made


def _without_defaults(exported: Mapping[str, Any], kind: str) -> Document:
    derived, defaults = DERIVED.get(kind, set()), DEFAULTS[kind]
    return {
        key: value
        for key, value in exported.items()
        if key not in derived
        and value is not None
        and not (key in defaults and (value == defaults[key] or value in ("", [], {})))
    }


def _rename_charts(document: Document) -> None:
    """Charts by numbers that are the same everywhere."""
    names = {}
    for child in document["position"].values():
        if isinstance(child, dict) and child.get("type") == "CHART":
            names[child["meta"]["chartId"]] = chart_id(child["meta"]["uuid"])
            child["meta"]["chartId"] = names[child["meta"]["chartId"]]
    metadata = document.get("metadata", {})
    for native in metadata.get("native_filter_configuration", []):
        native.pop("chartsInScope", None)
        native.pop("tabsInScope", None)
        scope = native.get("scope", {})
        scope["excluded"] = sorted(names.get(each, each) for each in scope.get("excluded", []))
    if "expanded_slices" in metadata:
        metadata["expanded_slices"] = {
            str(names[int(each)]): value
            for each, value in metadata["expanded_slices"].items()
            if int(each) in names
        }
    if "timed_refresh_immune_slices" in metadata:
        metadata["timed_refresh_immune_slices"] = sorted(
            names[each] for each in metadata["timed_refresh_immune_slices"] if each in names
        )
