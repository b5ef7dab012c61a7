"""Write `seeds/public_holidays.csv` from the `holidays` package; run it again when that package is upgraded.

    python dbt_project/generate_public_holidays.py

One row per calendar and day. Islamic dates of Morocco and Tunisia are the package's estimates and say so
in their name.
"""

import csv
from pathlib import Path

import holidays

YEARS = range(1999, 2036)

# our calendar code -> (country, subdivision of the package)
CALENDARS = {
    "FR": ("FR", None),
    "FR-57": ("FR", "57"),
    "GF": ("FR", "973"),
    "GP": ("FR", "971"),
    "MA": ("MA", None),
    "MQ": ("FR", "972"),
    "RE": ("FR", "974"),
    "TN": ("TN", None),
    "YT": ("FR", "976"),
}


def main() -> None:
    """Replace the seed; rows are sorted, so that a regeneration shows only real changes."""
    target = Path(__file__).parent / "seeds" / "public_holidays.csv"
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["holiday_calendar", "holiday_date", "holiday_name"])
        for calendar, (country, subdivision) in CALENDARS.items():
            days = holidays.country_holidays(country, subdiv=subdivision, years=YEARS, language="en_US")
            writer.writerows([calendar, day.isoformat(), days[day]] for day in sorted(days))


if __name__ == "__main__":
    main()
