-- When a delivery is due, said once: for the platform, the dbt project and the checks before a release.

create function ops.due_date(cadence text, day date) returns date
language sql immutable
as $$
    select case cadence
        when 'daily' then day
        when 'weekly' then date_trunc('week', day::timestamp)::date
        when 'monthly' then date_trunc('month', day::timestamp)::date
    end
$$;
comment on function ops.due_date is
    'The newest business date up to this day for which a feed of this cadence delivers: the day itself (daily), the Monday of its week (weekly), the 1st of its month (monthly); null for any other cadence. A delivery is due for a day where this is the day itself.';

create function ops.due_at(business_date date, due_time_local time) returns timestamptz
language sql immutable
as $$ select (business_date + 1 + due_time_local) at time zone 'Europe/Paris' $$;
comment on function ops.due_at is
    'When a delivery must have come: at this time of the next day in Europe/Paris, as a UTC instant.';
