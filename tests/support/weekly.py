"""What is on a weekly page: its numbers and dates, and its text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Shown:
    """A page as a reader sees it: `data` and `days` are the marked numbers and dates, each with its value and
    as it is shown; `text` is all of it, `unmarked` what is neither of the two and no address."""

    data: list[tuple[str, str]] = field(default_factory=list)
    days: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    unmarked: str = ""


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.shown = Shown()
        self.within: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.within.append((tag, given.get("value") or given.get("datetime") or ""))
        if tag in ("meta", "rect", "line", "polyline", "circle"):
            self.within.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.within and self.within[-1][0] == tag:
            self.within.pop()
        self.shown.text += " " if tag not in ("data", "time", "b") else ""

    def handle_data(self, text: str) -> None:
        tag, value = self.within[-1] if self.within else ("", "")
        if tag in ("style", "title"):
            return
        self.shown.text += text
        if tag == "data":
            self.shown.data.append((value, text))
        elif tag == "time":
            self.shown.days.append((value, text))
        elif tag != "code":
            self.shown.unmarked += text


def of_html(html: str) -> Shown:
    """The page of this HTML."""
    parser = _Parser()
    parser.feed(html)
    return parser.shown


def numbers_of(text: str) -> Counter[str]:
    """The numbers of a text, each as often as it is there."""
    return Counter(re.findall(r"\d+(?:,\d+)?", text))


MARTS = """
with rows as (
    select
        charts.*,
        -- As the directorates' views hide it.
        coalesce(person_count, 1) between 1 and 4 or coalesce(denominator, 0) between 1 and 4 as is_hidden
    from marts.mart_process_behaviour as charts
    where region_code in (
        select region_code from marts.dim_department where directorate_code = %(directorate)s
    )
),

shown as (
    select * from rows
    where not is_hidden
        and metric in ('home_region_rate', 'service_level', 'satisfaction', 'call_rate')
        and week_start_date in (%(monday)s, %(monday)s - 7)
),

outstanding as (
    select * from rows
    where not is_hidden
        and signal is not null
        and week_start_date = %(monday)s
            - case metric when 'repeat_7d_rate' then 7 when 'first_time_right_rate' then 35 else 0 end
)

select metric, metric_value::text as value from shown
union all
select metric, limit_value::text
from shown
cross join unnest(array[lower_limit, upper_limit]) as limit_value
where week_start_date = %(monday)s and limit_value >= 0 and (metric = 'call_rate' or limit_value <= 1)
union all
select metric, value::text
from (
    select region_code, metric, min(metric_value) as lowest, max(metric_value) as highest
    from rows
    where not is_hidden
        and metric in ('home_region_rate', 'service_level', 'satisfaction', 'call_rate')
        and week_start_date between %(monday)s - 84 and %(monday)s
    group by region_code, metric
    having count(metric_value) > 1
) as drawn
cross join unnest(array[lowest, highest]) as value
union all
select metric, metric_value::text from outstanding
union all
select
    metric,
    case
        when signal = 'above_upper_limit' then upper_limit
        when signal = 'below_lower_limit' then lower_limit
        else mean_value
    end::text
from outstanding
union all
select 'whole', run_length::text from outstanding where signal like 'run%%'
union all
select 'week', to_char(week_start_date, 'IYYY"-W"IW') from outstanding where week_start_date < %(monday)s
union all
select 'week', to_char(%(monday)s::date, 'IYYY"-W"IW')
union all
select 'whole', build_id::text from marts.published_build
"""
"""Every number that the page of a directorate and week has to show, straight from the marts."""
