with changed_legs as not materialized (
    select *
    from {{ ref('stg_calls__legs') }}
    where {{ is_changed() }}
),

changed_keys as (
    select distinct
        business_date,
        call_id
    from changed_legs
),

-- The earliest date keeps a call_id.
sharing_dates as (
    {{ dates_sharing('fct_calls', 'call_id', 'changed_keys', 'int_call_cross_date_duplicates') }}
),

sharing_legs as (
    select * from {{ rows_on(ref('stg_calls__legs'), 'sharing_dates') }}
),

legs as (
    select * from changed_legs
    union all
    select * from sharing_legs
),

-- Arrays in leg order, of which the first or last element is wanted: one sort and one pass, no self-join.
collected as (
    select
        business_date,
        call_id,
        min(row_identity) as row_identity,
        min(offered_at) as offered_at,
        min(queued_at) as queued_at,
        min(answered_at) filter (where outcome = 'answered') as answered_at,
        max(ended_at) as ended_at,
        count(*)::integer as leg_count,
        (count(*) filter (where outcome = 'answered'))::integer as answered_leg_count,
        sum(talk_seconds) as talk_seconds,
        sum(hold_seconds) as hold_seconds,
        sum(wrap_up_seconds) as wrap_up_seconds,
        array_agg(market order by leg_no) as markets,
        array_agg(dialled_number order by leg_no) as dialled_numbers,
        array_agg(outcome order by leg_no) as outcomes,
        array_agg(outcome order by leg_no) filter (where queued_at is not null) as queued_outcomes,
        array_agg(ended_at order by leg_no) filter (where queued_at is not null) as queued_ends,
        array_agg(customer_identity order by leg_no) filter (where customer_identity is not null) as customers,
        array_agg(customer_key order by leg_no) filter (where customer_key is not null) as customer_keys,
        array_agg(caller_identity order by leg_no) filter (where caller_identity is not null) as caller_identities,
        array_agg(caller_key order by leg_no) filter (where caller_key is not null) as caller_keys,
        array_agg(caller_prefix order by leg_no) filter (where caller_prefix is not null) as caller_prefixes,
        array_agg(line_department_code order by leg_no) filter (where line_department_code is not null) as departments,
        array_agg(site_code order by leg_no) filter (where outcome = 'answered') as answering_sites,
        array_agg(site_code order by leg_no) filter (where queued_at is not null) as queued_sites,
        jsonb_agg(
            jsonb_build_object(
                'site_code', site_code,
                'queued_at', queued_at,
                'answered_at', case when outcome = 'answered' then answered_at end,
                'agent_key', agent_key,
                'handle_seconds', talk_seconds::bigint + hold_seconds + wrap_up_seconds
            )
            order by leg_no
        ) filter (where queued_at is not null) as queued_legs,
        array_agg(reason_code order by leg_no) filter (where outcome = 'answered') as answering_reasons,
        array_agg(reason_code order by leg_no) filter (where queued_at is not null) as queued_reasons,
        array_agg(satisfaction order by leg_no) filter (where satisfaction is not null) as satisfactions,
        array_agg(recommend order by leg_no) filter (where recommend is not null) as recommends
    from legs
    group by business_date, call_id
),

resolved as (
    select
        *,
        case
            when answered_leg_count > 0 then 'answered'
            when queued_at is not null and queued_outcomes[cardinality(queued_outcomes)] = 'abandoned' then 'abandoned'
            when queued_at is not null then 'overflowed_lost'
            when outcomes[cardinality(outcomes)] = 'ivr_resolved' then 'ivr_resolved'
            when outcomes[cardinality(outcomes)] = 'abandoned' then 'ivr_abandoned'
            else 'blocked'
        end as outcome
    from collected
),

final as (
    select
        business_date,
        call_id,
        coalesce(customers[1], caller_identities[1], row_identity) as identity_key,
        customers is not null or caller_identities is not null as is_identified,
        caller_keys[1] as caller_key,
        caller_prefixes[1] as caller_prefix,
        customer_keys[1] as customer_key,
        departments[1] as line_department_code,
        dialled_numbers[1] as dialled_number,
        markets[1] as market,
        outcome,
        offered_at,
        queued_at,
        answered_at,
        ended_at,
        case outcome
            when 'answered' then extract(epoch from answered_at - queued_at)
            when 'abandoned' then extract(epoch from queued_ends[cardinality(queued_ends)] - queued_at)
        end as wait_seconds,
        talk_seconds,
        hold_seconds,
        wrap_up_seconds,
        leg_count,
        answered_leg_count,
        case when outcome = 'answered' then answering_sites[1] else queued_sites[1] end as site_code,
        case when outcome = 'answered' then answering_reasons[1] else queued_reasons[1] end as reason_code,
        satisfactions[cardinality(satisfactions)] as satisfaction,
        recommends[cardinality(recommends)] as recommend,
        queued_legs
    from resolved
)

select * from final
