-- A night's jobs touch nearly every date, and the times to an appointment, an installation or a repair of few.

comment on column ops.build_date.feed is
    'What changed on the date: a fact feed (`calls`, `boutique_visits`, `interventions`), `active_lines` (lines of a date of calls), `intervention_events` (a changed job was requested, closed or promised on the date), `intervention_times` (a time to an appointment, an installation or a repair of the date came to differ, or its extract came or went), `site_positions` (positions of a date of calls), or `intervention_places` (places of the jobs of a date).';
