{%- set figures = [
    'leg_count', 'offered_count', 'answered_count', 'abandoned_count', 'short_abandoned_count', 'overflowed_lost_count',
    'ivr_resolved_count', 'ivr_abandoned_count', 'blocked_count', 'answered_within_20s_count', 'handle_seconds',
    'transferred_count', 'identified_answered_count', 'withheld_answered_count', 'home_in_hours_count',
    'home_off_hours_count', 'other_directorate_count', 'offshore_in_hours_count', 'offshore_off_hours_count',
    'other_site_count', 'in_hours_known_answered_count', 'resolved_by_customer_file_count',
    'resolved_by_line_assignment_count', 'resolved_by_prefix_count', 'prefix_compared_count', 'prefix_disagreement_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
] -%}

-- Each person of a place once, then counted: distinct counts would sort the contacts five times.
with persons_of_places as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        identity_key,
        bool_or(is_offered) as is_offered,
        bool_or(outcome = 'ivr_resolved') as is_ivr_resolved,
        bool_or(outcome = 'ivr_abandoned') as is_ivr_abandoned,
        bool_or(outcome = 'blocked') as is_blocked,
        bool_or(outcome = 'answered' and customer_key is not null) as is_answered_customer
    from {{ all_dates('fct_calls') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by business_date, home_directorate_code, home_region_code, market, identity_key
),

-- Not added up over departments: whoever moves would count in two.
persons as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        count(*) filter (where is_offered) as offered_person_count,
        count(*) filter (where is_ivr_resolved) as ivr_resolved_person_count,
        count(*) filter (where is_ivr_abandoned) as ivr_abandoned_person_count,
        count(*) filter (where is_blocked) as blocked_person_count,
        count(*) filter (where is_answered_customer) as customer_answered_person_count
    from persons_of_places
    group by business_date, directorate_code, region_code, market
),

departments as (
    select *
    from {{ ref('mart_service_quality_department_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

added_up as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        sum(wait_answered_seconds) as wait_answered_seconds,
    {% for figure in figures -%}
        sum({{ figure }})::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from departments
    group by business_date, directorate_code, region_code, market
),

final as (
    select
        added_up.*,
        persons.offered_person_count,
        persons.ivr_resolved_person_count,
        persons.ivr_abandoned_person_count,
        persons.blocked_person_count,
        persons.customer_answered_person_count
    from added_up
    inner join persons using (business_date, directorate_code, region_code, market)
)

select * from final
