"""Draw one month of the simulated operator, April 2012, from its files: is it believable?

`make plots` writes the pictures into docs/reference. Counts are those of the nation: what was simulated at a
small scale, scaled up.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from datetime import date, timedelta
from pathlib import Path

import altair as alt
import polars as pl

from parc.settings import PROJECT
from parc.simulate import simulate

PICTURES = PROJECT / "docs" / "reference"
SEEDS = PROJECT / "dbt_project" / "seeds"
FIRST, LAST = date(2012, 4, 1), date(2012, 4, 30)
SCALE, SEED = 0.03, 2012
GO_LIVE = date(2012, 4, 25)
REGIONS = ("Bretagne", "Pays de la Loire", "Basse-Normandie", "Île-de-France", "Alsace", "La Réunion")
WIDTH, HEIGHT = 230, 150
WEEKDAYS = "weekdays"
FEWEST = 100  # contacts of which a share or a percentile is drawn
DAYS = alt.X("day:T", title=None, axis=alt.Axis(format="%-d", tickCount=8))
HOURS = alt.Axis(values=list(range(0, 25, 3)), format="d")


def main() -> None:
    """Simulate the month and draw it."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder)
        simulate(FIRST, LAST, scale=SCALE, seed=SEED, out=str(landing))
        contacts = first_legs(landing)
        visits = with_kind(read(landing, "boutique_visits", ("arrived_at", "served_at")))
        states = read(landing, "interventions", ("updated_at", "requested_at", "closed_at"))
    save("calls", arrivals(contacts), waits(contacts), waits_by_half_hour(contacts), given_up(contacts))
    save(
        "channels",
        arrivals(visits.with_columns(offered_at="arrived_at"), "Visits per half-hour"),
        visit_waits(visits),
        visits_by_day(visits),
        jobs_by_day(states),
        job_days(states),
    )
    save("regions", alt.vconcat(by_region(contacts), answered_at_home(contacts)))


def read(landing: Path, feed: str, moments: tuple[str, ...]) -> pl.DataFrame:
    """All the month's rows of a feed with their `day`, these columns as local instants."""
    days = (FIRST + timedelta(days=done) for done in range((LAST - FIRST).days + 1))
    files = {day: next((landing / feed / f"date={day}").glob(f"{feed}.csv*")) for day in days}
    rows = pl.concat(
        pl.read_csv(file, infer_schema=False).with_columns(day=pl.lit(day)) for day, file in files.items()
    )
    local = pl.col(moments).str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="UTC")
    return rows.with_columns(local.dt.convert_time_zone("Europe/Paris"))


def hour(moment: str) -> pl.Expr:
    """The half-hour in which a moment lies, as an hour of the day: 8.0, 8.5..."""
    return pl.col(moment).dt.hour() + pl.col(moment).dt.minute() // 30 / 2


def first_legs(landing: Path) -> pl.DataFrame:
    """One row per contact: its first leg, with the wait and the region of an identified caller's line."""
    departments = pl.read_csv(SEEDS / "departments.csv", infer_schema=False)
    regions = pl.read_csv(SEEDS / "regions.csv", infer_schema=False)
    directorates = pl.read_csv(SEEDS / "department_directorate.csv", infer_schema=False)
    sites = pl.read_csv(SEEDS / "sites.csv", infer_schema=False)
    legs = read(landing, "calls", ("offered_at", "queued_at", "answered_at"))
    return (
        legs.filter(pl.col("leg_no") == "1")
        .pipe(with_kind)
        .with_columns(wait=(pl.col("answered_at") - pl.col("queued_at")).dt.total_seconds())
        .join(departments, left_on="line_department", right_on="department_code", how="left")
        .join(regions.select("region_code", "region_name"), on="region_code", how="left")
        .join(
            directorates.select(line_department="department_code", home="directorate_code"),
            on="line_department",
            how="left",
        )
        .join(sites.select("site_code", answered_in="directorate_code"), on="site_code", how="left")
    )


def with_kind(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the `kind` of their day."""
    weekday = pl.col("day").dt.weekday()
    weekend = pl.when(weekday == 6).then(pl.lit("Saturday")).otherwise(pl.lit("Sunday"))
    return rows.with_columns(kind=pl.when(weekday <= 5).then(pl.lit(WEEKDAYS)).otherwise(weekend))


def arrivals(contacts: pl.DataFrame, title: str = "Contacts offered per half-hour") -> alt.Chart:
    """Contacts (or visits) per half-hour of a mean day."""
    days = contacts.group_by("kind").agg(days=pl.col("day").n_unique())
    counts = (
        contacts.group_by("kind", hour=hour("offered_at"))
        .len()
        .join(days, on="kind")
        .with_columns(contacts=pl.col("len") / pl.col("days") / SCALE)
    )
    return (
        alt.Chart(counts, title=title, width=WIDTH, height=HEIGHT)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("hour:Q", title="hour, Paris", axis=HOURS),
            y=alt.Y("contacts:Q", title="number, nation"),
            color=alt.Color(
                "kind:N",
                title=None,
                legend=alt.Legend(orient="top-left"),
                scale=alt.Scale(domain=[WEEKDAYS, "Saturday", "Sunday"]),
            ),
        )
    )


def waits(contacts: pl.DataFrame) -> alt.Chart:
    """Share of the answered contacts by what they waited."""
    answered = contacts.drop_nulls("wait")
    counts = (
        answered.group_by(seconds=pl.col("wait").clip(upper_bound=600) // 10 * 10)
        .len()
        .with_columns(share=pl.col("len") / answered.height)
    )
    return (
        alt.Chart(counts, title="Waits of answered contacts (600: longer)", width=WIDTH, height=HEIGHT)
        .mark_bar(width=4)
        .encode(
            x=alt.X("seconds:Q", title="seconds from queue to agent, by tens"),
            y=alt.Y("share:Q", title="share", axis=alt.Axis(format="%"), scale=alt.Scale(type="sqrt")),
        )
    )


def waits_by_half_hour(contacts: pl.DataFrame) -> alt.Chart:
    """Mean and ninetieth percentile of the waits."""
    by_hour = queued_on_weekdays(contacts).agg(
        pl.len(), mean=pl.col("wait").mean(), p90=pl.col("wait").quantile(0.9)
    )
    measures = by_hour.filter(pl.col("len") >= FEWEST).unpivot(
        ["mean", "p90"], index="hour", variable_name="measure", value_name="seconds"
    )
    return (
        alt.Chart(measures, title="Waits by half-hour, weekdays", width=WIDTH, height=HEIGHT)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("hour:Q", title="hour, Paris", axis=HOURS),
            y=alt.Y("seconds:Q", title="seconds"),
            color=alt.Color("measure:N", title=None, legend=alt.Legend(orient="top-left")),
        )
    )


def given_up(contacts: pl.DataFrame) -> alt.Chart:
    """Share of the queued contacts whose first leg is abandoned."""
    shares = queued_on_weekdays(contacts).agg(pl.len(), share=(pl.col("outcome") == "abandoned").mean())
    return (
        alt.Chart(
            shares.filter(pl.col("len") >= FEWEST),
            title="Queued and given up, weekdays",
            width=WIDTH,
            height=HEIGHT,
        )
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("hour:Q", title="hour, Paris", axis=HOURS, scale=alt.Scale(domain=[0, 24])),
            y=alt.Y("share:Q", title="share", axis=alt.Axis(format="%")),
        )
    )


def queued_on_weekdays(contacts: pl.DataFrame) -> pl.dataframe.group_by.GroupBy:
    """The contacts that queued on weekdays, by half-hour."""
    return contacts.filter(pl.col("kind") == WEEKDAYS, pl.col("queued_at").is_not_null()).group_by(
        hour=hour("queued_at")
    )


def visit_waits(visits: pl.DataFrame) -> alt.Chart:
    """Share of the served visitors by what they waited, and of those who left unserved."""
    minutes = ((pl.col("served_at") - pl.col("arrived_at")).dt.total_seconds() / 60).clip(upper_bound=60)
    counts = (
        visits.drop_nulls("served_at")
        .group_by(minutes=minutes // 1)
        .len()
        .with_columns(share=pl.col("len") / visits.height)
    )
    unserved = (visits["outcome"] == "left_unserved").mean()
    title = f"Waits in boutiques; {unserved:.1%} leave unserved"
    return (
        alt.Chart(counts, title=title, width=WIDTH, height=HEIGHT)
        .mark_bar(width=3)
        .encode(
            x=alt.X("minutes:Q", title="minutes from ticket to service"),
            y=alt.Y("share:Q", title="share of visits", axis=alt.Axis(format="%")),
        )
    )


def visits_by_day(visits: pl.DataFrame) -> alt.Chart:
    """Visits per day, by how they ended."""
    counts = visits.group_by("day", measure="outcome").len()
    return by_day(counts, "Visits per day, by outcome")


def jobs_by_day(states: pl.DataFrame) -> alt.Chart:
    """What happened to jobs, by day: requested, closed, and changes delivered."""
    newest = states.sort("updated_at").group_by("job_id").last()
    happened = [
        newest.group_by(day=pl.col(moment).dt.date()).len().with_columns(measure=pl.lit(name))
        for moment, name in (("requested_at", "requested"), ("closed_at", "closed"))
    ]
    changes = states.group_by("day").len().with_columns(measure=pl.lit("changes delivered"))
    counts = pl.concat([*happened, changes], how="diagonal").drop_nulls("day")
    return by_day(counts.filter(pl.col("day").is_between(FIRST, LAST)), "Jobs per day")


def job_days(states: pl.DataFrame) -> alt.Chart:
    """Days from request to closing of the jobs that were done."""
    done = states.filter(pl.col("result") == "done").unique("job_id", keep="last", maintain_order=True)
    days = ((pl.col("closed_at") - pl.col("requested_at")).dt.total_seconds() / 86_400).clip(upper_bound=40)
    counts = (
        done.group_by("kind", days=days // 1)
        .len()
        .with_columns(share=pl.col("len") / pl.col("len").sum().over("kind"))
    )
    return (
        alt.Chart(counts, title="Days from request to done (40: longer)", width=WIDTH, height=HEIGHT)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("days:Q", title="days"),
            y=alt.Y("share:Q", title="share of kind", axis=alt.Axis(format="%")),
            color=alt.Color("kind:N", title=None, legend=alt.Legend(orient="top-right")),
        )
    )


def by_day(counts: pl.DataFrame, title: str) -> alt.Chart:
    """A line over the days of the month per `measure`."""
    return (
        alt.Chart(counts.with_columns(number=pl.col("len") / SCALE), title=title, width=WIDTH, height=HEIGHT)
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(
            x=DAYS,
            y=alt.Y("number:Q", title="number, nation"),
            color=alt.Color("measure:N", title=None, legend=alt.Legend(orient="bottom")),
        )
    )


def by_region(contacts: pl.DataFrame) -> alt.FacetChart:
    """Contacts per day of identified callers, by region."""
    counts = (
        contacts.filter(pl.col("region_name").is_in(REGIONS))
        .group_by("region_name", "day")
        .len()
        .with_columns(contacts=pl.col("len") / SCALE)
    )
    title = "Contacts per day of identified callers; red: go-live of the West, 25 April"
    return by_panel(counts, alt.Y("contacts:Q", title="contacts, nation"), title)


def answered_at_home(contacts: pl.DataFrame) -> alt.FacetChart:
    """Share of the answered contacts of identified callers that their own directorate answers."""
    shares = (
        contacts.filter(
            pl.col("region_name").is_in(REGIONS), pl.col("wait").is_not_null(), pl.col("market") != "open"
        )
        .group_by("region_name", "day")
        .agg(pl.len(), share=(pl.col("answered_in") == pl.col("home")).fill_null(False).mean())
    )
    share = alt.Y("share:Q", title="share", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    return by_panel(shares, share, "Answered by the caller's own directorate (fixe and internet)")


def by_panel(counts: pl.DataFrame, y: alt.Y, title: str) -> alt.FacetChart:
    """A line over the days of the month per region, with the go-live."""
    line = alt.Chart().mark_line(point=alt.OverlayMarkDef(size=12)).encode(x=DAYS, y=y)
    rule = alt.Chart().mark_rule(color="firebrick", strokeDash=[3, 3]).encode(x="go_live:T")
    return (
        alt.layer(line, rule, data=counts.with_columns(go_live=pl.lit(GO_LIVE)))
        .properties(width=130, height=90)
        .facet(
            facet=alt.Facet("region_name:N", title=None, sort=list(REGIONS)),
            columns=len(REGIONS),
            title=title,
        )
        .resolve_scale(y="independent")
    )


def save(name: str, *charts: alt.Chart | alt.VConcatChart) -> None:
    """Write the charts side by side into `docs/reference/simulated_month_<name>.png`."""
    chart = alt.hconcat(*charts).resolve_scale(color="independent").configure_view(stroke=None)
    path = PICTURES / f"simulated_month_{name}.png"
    chart.save(path, ppi=72)
    path.write_bytes(packed(path.read_bytes()))


def packed(png: bytes) -> bytes:
    """The same picture with its pixels compressed well, which the drawing library does not do."""
    chunks, place = [], 8
    while place < len(png):
        size, kind = struct.unpack_from(">I4s", png, place)
        chunks.append((kind, png[place + 8 : place + 8 + size]))
        place += 12 + size
    pixels = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    kept = [(kind, content) for kind, content in chunks if kind in (b"IHDR", b"pHYs")]
    parts = [*kept, (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


if __name__ == "__main__":
    main()
