"""Makes the weekly pages of directorates, and sends each to its addresses once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from parc.errors import ConfigurationError
from parc.host import sending, services
from parc.ledger import locks, weekly_mails, write_weekly_mails
from parc.settings import Settings
from parc.warehouse import bi_address, connect
from parc.warehouse.logins import directorate_codes, of_directorate
from parc.weekly.addresses import addresses
from parc.weekly.content import PageContent, compose
from parc.weekly.files import PageFiles, as_html, write
from parc.weekly.reading import DirectorateNotBuilt, newest_week, read
from parc.weekly.week import IsoWeek
from parc.wording import counted

BUSY = "the weekly pages are being sent"


@dataclass(frozen=True)
class WeeklyPage:
    """A page that was made. `new_mail_count` addresses got it now, `earlier_mail_count` had it,
    `failed_mail_count` did not take it."""

    directorate_code: str
    week: IsoWeek
    build_id: int
    page: PageContent
    files: PageFiles
    new_mail_count: int = 0
    earlier_mail_count: int = 0
    failed_mail_count: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "directorate_code": self.directorate_code,
            "week": self.week.name,
            "build_id": self.build_id,
            "is_final": self.page.is_final,
            "html": str(self.files.html),
            "pdf": str(self.files.pdf),
            "new_mail_count": self.new_mail_count,
            "earlier_mail_count": self.earlier_mail_count,
            "failed_mail_count": self.failed_mail_count,
        }


def make(settings: Settings, week: IsoWeek, directorate_codes: Sequence[str]) -> list[WeeklyPage]:
    """Write the pages of the week, with what the published marts say. A directorate that they do not know yet
    gets none (`described` names it), unless it is the only one asked for.

    Raises ParcError while nothing is published, DirectorateNotBuilt if no page was made, ConfigurationError
    if a directorate's login does not work.
    """
    airflow = services.ui_address(settings)
    made = []
    for code in directorate_codes:
        try:
            facts = read(settings, code, week)
        except DirectorateNotBuilt:
            if len(directorate_codes) == 1:
                raise
            continue
        page = compose(facts, airflow, bi_address(settings, of_directorate(code)))
        made.append(WeeklyPage(code, week, facts.build.build_id, page, write(settings, week, code, page)))
    return made


def send(settings: Settings, made: Sequence[WeeklyPage], *, again: bool = False) -> list[WeeklyPage]:
    """Send each page to those of its addresses that do not have it; to all with `again`. Returns the pages
    with what became of their mails.

    Raises ConfigurationError if there are addresses and PARC_WEEKLY_MAIL does not say by which server, or
    the file of addresses is wrong; Busy while another process sends.
    """
    to = addresses(settings, directorate_codes(settings))
    if not any(to[each.directorate_code] for each in made):
        return list(made)
    mail = sending.mailer("PARC_WEEKLY_MAIL")
    with (
        connect(settings, "loader", autocommit=True) as connection,
        locks.held(connection, locks.WEEKLY_MAIL, BUSY),
    ):
        results = []
        for each in made:
            new = earlier = failed = 0
            has_it = weekly_mails.sent_to(connection, each.directorate_code, each.week.monday)
            for address in to[each.directorate_code]:
                digest = hashlib.sha256(address.lower().encode()).hexdigest()
                if digest in has_it and not again:
                    earlier += 1
                elif mail(address, _subject(each), as_html(each.page), each.files.pdf):
                    new += 1
                    write_weekly_mails.note(
                        connection, each.directorate_code, each.week.monday, digest, each.build_id
                    )
                else:
                    failed += 1
            results.append(
                replace(each, new_mail_count=new, earlier_mail_count=earlier, failed_mail_count=failed)
            )
    return results


def is_due(night: date) -> bool:
    """Whether a night is a Sunday's: it ends a week."""
    return night == IsoWeek.of(night).sunday


def of_night(settings: Settings, night: date) -> list[WeeklyPage]:
    """On a Sunday, make and send the pages of the week that it ends; on other days, and if the marts have
    calls of a later week, do nothing: running an old night again is no reason to mail.

    Raises as `make` and `send`.
    """
    week = IsoWeek.of(night)
    codes = directorate_codes(settings)
    newest = newest_week(settings, codes[0]) if is_due(night) else None
    if newest is None or newest.monday > week.monday:
        return []
    return send(settings, make(settings, week, codes))


def check_sent(made: Sequence[WeeklyPage]) -> None:
    """Raise ConfigurationError if an address did not take its page; what was sent is noted."""
    if any(each.failed_mail_count for each in made):
        raise ConfigurationError(f"{described(made, ())}; run this again, and only they get it")


def described(made: Sequence[WeeklyPage], directorate_codes: Sequence[str]) -> str:
    """What became of the pages that these directorates should have, in a line."""
    if not made:
        return "the marts have a later week"
    new, earlier, failed = (
        sum(getattr(each, name) for each in made)
        for name in ("new_mail_count", "earlier_mail_count", "failed_mail_count")
    )
    text = f"{counted(len(made), 'page')} of {made[0].week.name}: {counted(new, 'mail')} sent"
    text += f", {earlier} sent before" if earlier else ""
    text += f", {counted(failed, 'address', 'addresses')} did not take it" if failed else ""
    without = [code for code in directorate_codes if code not in {each.directorate_code for each in made}]
    return text + (f"; none for {', '.join(without)}, which no published build has yet" if without else "")


def _subject(page: WeeklyPage) -> str:
    return f"PARC, {page.page.title}, semaine {page.week.number} de {page.week.year}"
