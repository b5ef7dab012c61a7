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


{#- Who answered a contact of fct_calls; offshore in the zone's hours (overflow) and outside them (planned) apart. -#}
{% macro who_answered() -%}
    case
        when answered_by = 'offshore' and is_in_hours then 'offshore_in_hours'
        when answered_by = 'offshore' then 'offshore_off_hours'
        else coalesce(answered_by, 'unknown')
    end
{%- endmacro %}


{#-
    What home does better, as a query: by `keys`, the mean of home's cases less the mean of the others', raw and like for
    like, each with its 95 % interval. `cells` has, by `keys` and `strata` and for home's cases (`home_`) and the others'
    (`other_`), the number of cases, the sum of their values and the sum of its squares (`_count`, `_sum`, `_squares`).
    Like for like is the gap of each stratum, weighted by home's cases in it (direct standardisation); its variance is the
    sum of the squared weights times the variances of both means (ADR 31). A stratum counts with `gap_stratum_min_cases` on
    both sides.
-#}
{% macro gaps_to_home(cells, keys) %}
    {%- set sides = ['home', 'other'] -%}
    {%- set halfwidth = '1.959964 * sqrt(greatest(' -%}
    with strata as (
        select
            {{ keys | join(', ') }},
            home_count,
            other_count,
            home_count >= {{ var('gap_stratum_min_cases') }}
            and other_count >= {{ var('gap_stratum_min_cases') }} as is_supported,
            {%- for side in sides %}
            {{ side }}_sum,
            {{ side }}_squares,
            {{ side }}_sum / nullif({{ side }}_count, 0) as {{ side }}_mean,
            {{ mean_variance(side ~ '_count', side ~ '_sum', side ~ '_squares') }} as {{ side }}_variance
            {{- ',' if not loop.last }}
            {%- endfor %}
        from {{ cells }}
    ),

    gaps as (
        select
            {{ keys | join(', ') }},
            {%- for side in sides %}
            sum({{ side }}_count) as {{ side }}_count,
            sum({{ side }}_sum) / nullif(sum({{ side }}_count), 0) as {{ side }}_mean,
            {{ mean_variance('sum(' ~ side ~ '_count)', 'sum(' ~ side ~ '_sum)', 'sum(' ~ side ~ '_squares)') }}
                as {{ side }}_variance,
            coalesce(sum({{ side }}_count) filter (where is_supported), 0) as {{ side }}_supported_count,
            {%- endfor %}
            sum(home_count * (home_mean - other_mean)) filter (where is_supported)
            / nullif(sum(home_count) filter (where is_supported), 0) as like_gap,
            sum(home_count * home_count * (home_variance + other_variance)) filter (where is_supported)
            / nullif(sum(home_count) filter (where is_supported), 0)
            / nullif(sum(home_count) filter (where is_supported), 0) as like_variance
        from strata
        group by {{ keys | join(', ') }}
    )

    select
        {{ keys | join(', ') }},
        home_count,
        other_count,
        home_mean,
        other_mean,
        home_mean - other_mean as raw_gap,
        home_mean - other_mean - {{ halfwidth }}home_variance + other_variance, 0)) as raw_gap_low,
        home_mean - other_mean + {{ halfwidth }}home_variance + other_variance, 0)) as raw_gap_high,
        home_supported_count / nullif(home_count, 0) as supported_share,
        case when reason is null then like_gap end as like_gap,
        case when reason is null then like_gap - {{ halfwidth }}like_variance, 0)) end as like_gap_low,
        case when reason is null then like_gap + {{ halfwidth }}like_variance, 0)) end as like_gap_high,
        reason
    from gaps
    cross join
        lateral (
            select
                case
                    when least(home_supported_count, other_supported_count) < {{ var('gap_min_cases') }} then 'too few cases'
                    when home_supported_count < {{ var('gap_min_supported_share') }} * home_count
                        then 'too few of home''s cases have their like'
                end as reason
        ) as verdict
{% endmacro %}


{#- The variance of a mean, from the number of cases, their sum and that of their squares; null below two cases. -#}
{% macro mean_variance(cases, total, squares) -%}
    ({{ squares }} - {{ total }} * {{ total }} / nullif({{ cases }}, 0))
    / nullif({{ cases }} - 1, 0) / nullif({{ cases }}, 0)
{%- endmacro %}


{#- By outcome: the window that must be final for it; its cases, the sum of their values and that of the squares. -#}
{% macro gap_outcomes() %}
    {{ return({
        'satisfaction': ('calls', 'survey_count', 'satisfied_count', 'satisfied_count'),
        'net_promoter_score': ('calls', 'recommend_count', 'promoter_points', 'promoter_squared_points'),
        'repeat_1d_rate': ('repeat_1d', 'identified_answered_count', 'repeat_1d_count', 'repeat_1d_count'),
        'repeat_7d_rate': ('repeat_7d', 'identified_answered_count', 'repeat_7d_count', 'repeat_7d_count'),
        'repeat_30d_rate': ('repeat_30d', 'identified_answered_count', 'repeat_30d_count', 'repeat_30d_count'),
        'same_reason_repeat_7d_rate': ('repeat_7d', 'identified_answered_count', 'same_reason_count', 'same_reason_count'),
        'transfer_rate': ('calls', 'answered_count', 'transferred_count', 'transferred_count'),
        'mean_handle_seconds': ('calls', 'answered_count', 'handle_seconds', 'handle_squared_seconds'),
        'mean_wait_seconds': ('calls', 'answered_count', 'wait_answered_seconds', 'wait_squared_seconds'),
    }) }}
{% endmacro %}
