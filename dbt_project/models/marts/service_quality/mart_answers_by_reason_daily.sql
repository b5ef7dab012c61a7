{%- set place = [
    'business_date', 'directorate_code', 'region_code', 'market', 'reason_code', 'hour_band', 'answered_by',
    'partner_site_code',
] -%}
{%- set counts = [
    'answered_count', 'answered_within_20s_count', 'handle_seconds', 'handle_squared_seconds', 'transferred_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
    'identified_answered_count', 'repeat_1d_count', 'repeat_7d_count', 'repeat_30d_count', 'repeat_7d_same_reason_count',
] -%}
{%- set waits, windows = ['wait_answered_seconds', 'wait_squared_seconds'], ['repeat_1d', 'repeat_7d', 'repeat_30d'] -%}
{%- set of_call = [
    'business_date', 'home_directorate_code', 'home_region_code', 'market', 'reason_code', 'zone_code', 'is_in_hours',
    'answered_by', 'site_code', 'offered_at', 'queued_at', 'outcome',
] -%}
{%- set of_answer = ['wait_seconds', 'handle_seconds', 'is_transferred', 'satisfaction', 'recommend'] -%}
{%- set is_followed = 'is_offered and is_identified' -%}
{%- set is_new = is_changed(of=node_of('fct_calls')) if is_by_difference() else 'false' -%}

with zones as (
    select * from {{ ref('zones') }}
),

public_holidays as (
    select * from {{ ref('public_holidays') }}
),

people as (
    {{ changed_people('fct_calls', is_followed) }}
),

-- A contact within 30 x 24 hours is at most 31 dates later: the clock may change in between.
identified as (
    {{ signed_rows('fct_calls', of_call, is_followed, people='people', days=31, others_once=true) }}
),

followed as (
    {{ with_next_contact('identified', of_call) }}
),

-- Every contact once to be counted, and once more, if identified, for its repeats. Where the facts of a date are new,
-- nothing that was published of it is left to be taken back.
calls as (
    select
        true as is_counted,
        1 as sign,
        null::interval as until_next,
        null::interval as until_next_of_reason,
        {{ (of_call + of_answer) | join(', ') }}
    from {{ ref('fct_calls') if is_by_difference() else all_dates('fct_calls') }}
    where
        (outcome = 'answered' or handle_seconds <> 0 or num_nonnulls(satisfaction, recommend) > 0)
        and {{ is_changed() if is_incremental() and not is_by_difference() else 'true' }}
    union all
    select
        false as is_counted,
        sign,
        until_next,
        until_next_of_reason,
        {{ of_call | join(', ') }},
        null as {{ of_answer | join(', null as ') }}
    from followed
    where outcome = 'answered' and (sign = 1 or not ({{ is_new }}))
),

local_calls as (
    select
        calls.*,
        calls.queued_at at time zone zones.time_zone as queued_local_at,
        zones.holiday_calendar
    from calls
    left join zones on calls.zone_code = zones.zone_code
),

counted as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        coalesce(reason_code, 'unknown') as reason_code,
        {{ hour_band('queued_local_at', 'is_in_hours', 'holiday_date is not null') }} as hour_band,
        {{ who_answered() }} as answered_by,
        case when answered_by = 'offshore' then site_code else 'none' end as partner_site_code,
        count(*) filter (where is_counted and outcome = 'answered') as answered_count,
        count(*) filter (
            where outcome = 'answered' and wait_seconds <= {{ var('service_level_seconds') }}
        ) as answered_within_20s_count,
        sum(handle_seconds) as handle_seconds,
        sum(handle_seconds::bigint * handle_seconds) as handle_squared_seconds,
        count(*) filter (where is_transferred) as transferred_count,
        count(satisfaction) as survey_count,
        count(*) filter (where satisfaction >= 4) as satisfied_count,
        count(recommend) as recommend_count,
        count(*) filter (where recommend >= 9) as promoter_count,
        count(*) filter (where recommend <= 6) as detractor_count,
        sum(sign) filter (where not is_counted) as identified_answered_count,
        sum(sign) filter (where until_next <= interval '24 hours') as repeat_1d_count,
        sum(sign) filter (where until_next <= interval '168 hours') as repeat_7d_count,
        sum(sign) filter (where until_next <= interval '720 hours') as repeat_30d_count,
        sum(sign) filter (
            where until_next_of_reason <= interval '168 hours' and reason_code <> 'unknown'
        ) as repeat_7d_same_reason_count,
        sum(wait_seconds) filter (where outcome = 'answered') as wait_answered_seconds,
        sum(wait_seconds * wait_seconds) filter (where outcome = 'answered') as wait_squared_seconds
    from local_calls
    left join public_holidays
        on local_calls.holiday_calendar = public_holidays.holiday_calendar
        and local_calls.queued_local_at::date = public_holidays.holiday_date
    group by 1, 2, 3, 4, 5, 6, 7, 8
    {% if is_by_difference() -%}
        union all
        select * from ({{ published_figures('mart_answers_by_reason_daily', place + counts + waits) }}) as published
        where not ({{ is_new }})
    {%- endif %}
),

added_up as (
    select
        {{ place | join(', ') }},
        coalesce(sum(wait_answered_seconds), 0)::numeric(16, 6) as wait_answered_seconds,
        coalesce(sum(wait_squared_seconds), 0)::numeric(24, 6) as wait_squared_seconds,
    {% for figure in counts -%}
        coalesce(sum({{ figure }}), 0)::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by {{ place | join(', ') }}
),

final as (
    {{ named('added_up', ['directorate', 'region', 'reason', 'partner_site'], windows) }}
)

select * from final
