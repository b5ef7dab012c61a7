"""Measures the build of one more day with a short and with a long history.

Two platforms hold 30 and 365 simulated days; then the same three days are loaded and built on each, in turn.
A ratio near 1 shows that a build only touches what changed. Run by `make bench-build`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

from parc import quality
from parc.build import build
from parc.feeds import FEEDS
from parc.loading import ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, embedded, migrate

LAST = date(2012, 12, 27)
NIGHTS = 3


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def platform(folder: Path, history: int, scale: float) -> Settings:
    """A platform with `history` days up to LAST, loaded and built."""
    settings = Settings(home=folder / "home", landing=str(folder / "landing"), switch=str(folder / "switch"))
    begun, first = time.monotonic(), LAST - timedelta(days=history - 1)
    simulate(first, LAST + timedelta(days=NIGHTS), scale=scale, seed=365, out=settings.landing)
    embedded.start(settings)
    migrate(settings)
    quality.check_delivery = lambda *_: quality.Verdict(passed=True)  # type: ignore[assignment]
    for feed in FEEDS:
        for day in days(first, LAST):
            if feed != "numbering_plan" or day.day == 1 or day == first:  # monthly, as it is due
                ingest(settings, feed, day)
    loaded = time.monotonic()
    build(settings)
    with connect(settings, "reader") as connection:
        row = connection.execute("select count(*) from marts.fct_calls").fetchone()
    assert row is not None
    print(
        f"{history} days: {row[0]:,} contacts; simulated and loaded in {loaded - begun:.0f} s, "
        f"first build {time.monotonic() - loaded:.0f} s",
        flush=True,
    )
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=int, default=30, help="days of the short history")
    parser.add_argument("--long", type=int, default=365, help="days of the long one")
    parser.add_argument("--scale", type=float, default=0.01, help="1 is the nation")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parc-bench-") as folder:
        Path(folder).chmod(0o755)
        platforms = {
            history: platform(Path(folder) / str(history), history, given.scale)
            for history in (given.short, given.long)
        }
        try:
            seconds: dict[int, list[float]] = {history: [] for history in platforms}
            by_node: dict[int, Counter[str]] = {history: Counter() for history in platforms}
            for day in days(LAST + timedelta(days=1), LAST + timedelta(days=NIGHTS)):
                for history, settings in platforms.items():
                    for feed in FEEDS:
                        ingest(settings, feed, day)
                    begun = time.monotonic()
                    result = build(settings)
                    seconds[history].append(time.monotonic() - begun)
                    by_node[history].update(result.seconds_by_node)
                    print(f"  {day}, {history} days: {seconds[history][-1]:.1f} s", flush=True)
        finally:
            for settings in platforms.values():
                embedded.stop(settings)
    short, long = (by_node[history] for history in platforms)
    print("nodes that cost more with the long history, seconds a night:")
    for name, more in (long - short).most_common(8):
        print(f"  {name:<45}{short[name] / NIGHTS:6.2f} {long[name] / NIGHTS:6.2f}  (+{more / NIGHTS:.2f})")
    print(f"sum over nodes, long / short history: {long.total() / short.total():.2f} x")
    medians = [statistics.median(each) for each in seconds.values()]
    print(f"build of one more day, long / short history: {medians[1] / medians[0]:.2f} x")


if __name__ == "__main__":
    main()
