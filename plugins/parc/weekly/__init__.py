"""The Monday page: a directorate's week on one page in French, as HTML and as PDF, and its mail."""

from parc.weekly.pages import WeeklyPage, check_sent, described, is_due, make, of_night, send
from parc.weekly.week import IsoWeek

__all__ = ["IsoWeek", "WeeklyPage", "check_sent", "described", "is_due", "make", "of_night", "send"]
