with roots as (
    select
        business_date,
        call_id,
        identity_key,
        queued_legs,
        (business_date + 2)::timestamp at time zone 'Europe/Paris' as next_date_ends_at
    from {{ ref('int_call_roots') }}
    where queued_at is not null
),

duplicates as (
    select * from {{ ref('int_call_cross_date_duplicates') }}
),

-- What is said to have arrived later than the next date's end counts at that end.
legs as (
    select
        roots.business_date,
        roots.identity_key,
        coalesce(leg.site_code, 'unknown') as site_code,
        leg.agent_key,
        least(leg.queued_at, roots.next_date_ends_at - interval '1 microsecond') as queued_at,
        case
            when leg.answered_at is not null
                then least(leg.answered_at, roots.next_date_ends_at - interval '1 microsecond')
        end as answered_at,
        least(leg.answered_at + make_interval(secs => leg.handle_seconds), roots.next_date_ends_at) as work_ends_at
    from roots
    left join duplicates
        on roots.business_date = duplicates.business_date
        and roots.call_id = duplicates.call_id
    cross join
        lateral jsonb_to_recordset(roots.queued_legs)
            as leg (
                site_code text, queued_at timestamptz, answered_at timestamptz, agent_key uuid, handle_seconds bigint
            )
    where duplicates.call_id is null
),

events as (
    select
        business_date,
        identity_key,
        site_code,
        null::uuid as agent_key,
        date_bin('30 minutes', queued_at, '2000-01-01 00:00:00+00') as half_hour_at,
        1 as queued_leg_count,
        0 as answered_leg_count,
        0 as finished_leg_count,
        0 as handle_seconds
    from legs
    union all
    select
        business_date,
        identity_key,
        site_code,
        agent_key,
        date_bin('30 minutes', answered_at, '2000-01-01 00:00:00+00') as half_hour_at,
        0 as queued_leg_count,
        1 as answered_leg_count,
        (work_ends_at <= answered_at)::integer as finished_leg_count,
        0 as handle_seconds
    from legs
    where answered_at is not null
    union all
    select
        legs.business_date,
        legs.identity_key,
        legs.site_code,
        legs.agent_key,
        half_hour.half_hour_at,
        0 as queued_leg_count,
        0 as answered_leg_count,
        (legs.work_ends_at <= half_hour.half_hour_at + interval '30 minutes')::integer as finished_leg_count,
        extract(
            epoch from least(legs.work_ends_at, half_hour.half_hour_at + interval '30 minutes')
            - greatest(legs.answered_at, half_hour.half_hour_at)
        ) as handle_seconds
    from legs
    cross join
        lateral generate_series(
            date_bin('30 minutes', legs.answered_at, '2000-01-01 00:00:00+00'),
            legs.work_ends_at - interval '1 microsecond',
            interval '30 minutes'
        ) as half_hour (half_hour_at)
    where legs.answered_at is not null
),

final as (
    select
        business_date,
        half_hour_at,
        site_code,
        sum(queued_leg_count) as queued_leg_count,
        sum(answered_leg_count) as answered_leg_count,
        sum(finished_leg_count) as finished_leg_count,
        sum(handle_seconds)::numeric(16, 6) as handle_seconds,
        case
            when bool_and(agent_key is not null or queued_leg_count = 1) then count(distinct agent_key)
        end as agent_count,
        count(distinct identity_key) as person_count
    from events
    group by business_date, half_hour_at, site_code
)

select * from final
