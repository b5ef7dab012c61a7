{#-
    When a contact was queued, on its zone's own clock: `open_morning` (until 12:00), `open_afternoon` (until 17:00) and
    `open_evening` in the zone's hours; else `holiday`, `sunday`, `evening` (12:00 until 22:00) or `night`.
-#}
{% macro hour_band(local_at, is_in_hours, is_holiday) -%}
    case
        when {{ is_in_hours }} and {{ local_at }}::time < '12:00' then 'open_morning'
        when {{ is_in_hours }} and {{ local_at }}::time < '17:00' then 'open_afternoon'
        when {{ is_in_hours }} then 'open_evening'
        when {{ is_holiday }} then 'holiday'
        when extract(isodow from {{ local_at }}) = 7 then 'sunday'
        when {{ local_at }}::time >= '12:00' and {{ local_at }}::time < '22:00' then 'evening'
        else 'night'
    end
{%- endmacro %}
