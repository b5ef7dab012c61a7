"""What changes between two routing tables, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from parc.routing.table.content import SHAPES, Content


@dataclass(frozen=True)
class TableDiff:
    """The rows of one table that a release adds, removes or changes.

    `added` and `removed` have the table's columns. `changed` has the key and each other column twice: as it
    is on the switch, and as it will be (suffix `_after`).
    """

    name: str
    added: pl.DataFrame
    removed: pl.DataFrame
    changed: pl.DataFrame
    live_rows: int
    desired_rows: int

    @property
    def row_count(self) -> int:
        """Rows added, removed and changed."""
        return self.added.height + self.removed.height + self.changed.height

    @property
    def share(self) -> float:
        """(Rows removed + rows changed) / rows on the switch; 1 if the switch had none and gets some."""
        if not self.live_rows:
            return 1.0 if self.added.height else 0.0
        return (self.removed.height + self.changed.height) / self.live_rows

    def counts(self) -> dict[str, float]:
        """The number of rows added, removed and changed, and `share`."""
        return {
            "added": self.added.height,
            "removed": self.removed.height,
            "changed": self.changed.height,
            "share": self.share,
        }

    def zone_flows(self) -> pl.DataFrame:
        """(change, before, after, rows): how many rows go from which zone to which zone. For exceptions."""
        none = pl.lit(None, dtype=pl.String)
        parts = [
            self.removed.select(change=pl.lit("removed"), before="zone_code", after=none),
            self.added.select(change=pl.lit("added"), before=none, after="zone_code"),
            self.changed.select(change=pl.lit("changed"), before="zone_code", after="zone_code_after"),
        ]
        keys = ["change", "before", "after"]
        return pl.concat(parts).group_by(keys).agg(rows=pl.len()).sort(keys)

    def rows(
        self,
    ) -> Iterator[tuple[str, dict[str, object], dict[str, object] | None, dict[str, object] | None]]:
        """(change, key, other columns before, other columns after) of every changed row."""
        shape = SHAPES[self.name]
        for row in self.removed.iter_rows(named=True):
            yield "removed", {c: row[c] for c in shape.key}, {c: row[c] for c in shape.values}, None
        for row in self.added.iter_rows(named=True):
            yield "added", {c: row[c] for c in shape.key}, None, {c: row[c] for c in shape.values}
        for row in self.changed.iter_rows(named=True):
            before = {c: row[c] for c in shape.values}
            yield (
                "changed",
                {c: row[c] for c in shape.key},
                before,
                {c: row[f"{c}_after"] for c in shape.values},
            )


def diff(live: Content | None, desired: Content) -> dict[str, TableDiff]:
    """The differences of each table. Compared with an empty switch (None), every row is added."""
    return {name: _diff_table(name, live, desired) for name in SHAPES}


def _diff_table(name: str, live: Content | None, desired: Content) -> TableDiff:
    shape, after = SHAPES[name], desired.frames[name]
    before = live.frames[name] if live else after.clear()
    columns, key = list(shape.columns), list(shape.key)
    if live and live.sha256[name] == desired.sha256[name]:
        only_before, only_after = before.clear(), after.clear()
    else:
        only_before = before.join(after, on=columns, how="anti")
        only_after = after.join(before, on=columns, how="anti")
    changed = only_before.join(only_after, on=key, how="inner", suffix="_after")
    return TableDiff(
        name=name,
        added=only_after.join(only_before, on=key, how="anti").sort(key),
        removed=only_before.join(only_after, on=key, how="anti").sort(key),
        changed=changed.sort(key),
        live_rows=before.height,
        desired_rows=after.height,
    )
