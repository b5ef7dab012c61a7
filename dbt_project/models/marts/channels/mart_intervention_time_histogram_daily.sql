with delays as (
    select
        requested_date as business_date,
        department_code,
        kind,
        'appointment_delay' as figure,
        first_slot_offered_at - requested_at as took
    from {{ ref('fct_interventions') }}
    where
        first_slot_offered_at is not null
        {% if is_incremental() -%}
            and {{ is_changed('requested_date') }}
        {%- endif %}
),

closings as (
    select
        closed_date as business_date,
        department_code,
        kind,
        case kind when 'installation' then 'supply' else 'repair' end as figure,
        closed_at - requested_at as took
    from {{ ref('fct_interventions') }}
    where
        result = 'done'
        and closed_date is not null
        {% if is_incremental() -%}
            and {{ is_changed('closed_date') }}
        {%- endif %}
),

built as (
    select business_date
    from {{ ref('int_built_deliveries') }}
    where feed = 'interventions'
),

homes as (
    select * from {{ ref('int_homes') }}
),

times as (
    select * from delays
    union all
    select * from closings
),

counted as (
    select
        times.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        times.kind,
        times.figure,
        -- A slot offered before the request was dated took no time.
        greatest(least(ceil(extract(epoch from times.took) / 3600), 8760), 0)::integer as hours,
        count(*) as job_count
    from times
    -- Of other dates only some of the jobs are known: those that changed in an extract of another date.
    inner join built on times.business_date = built.business_date
    left join homes
        on times.department_code = homes.home_key
        and times.business_date >= homes.valid_from
        and times.business_date < homes.valid_to
    group by 1, 2, 3, 4, 5, 6
),

final as (
    {{ named('counted') }}
)

select * from final
