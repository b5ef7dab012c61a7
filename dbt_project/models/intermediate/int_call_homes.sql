with roots as (
    select * from {{ ref('int_call_roots') }}
),

duplicates as (
    select * from {{ ref('int_call_cross_date_duplicates') }}
),

assignments as not materialized (
    select * from {{ ref('stg_line_assignments__assignments') }}
),

prefixes as not materialized (
    select * from {{ ref('int_prefix_homes') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

first_assignment as (
    select min(valid_from) as first_date from assignments
),

calls as (
    select roots.*
    from roots
    left join duplicates
        on roots.business_date = duplicates.business_date
        and roots.call_id = duplicates.call_id
    where duplicates.call_id is null
),

-- Where each source places the caller. The longest listed prefix decides, also when it is listed without a place.
placed as (
    select
        calls.*,
        assignments.department_code as assigned_department_code,
        case
            when prefix_6.prefix is not null then prefix_6.home_key
            when prefix_5.prefix is not null then prefix_5.home_key
            else prefix_4.home_key
        end as prefix_home_key
    from calls
    cross join first_assignment
    left join assignments
        on calls.caller_key = assignments.caller_key
        and greatest(calls.business_date, first_assignment.first_date) >= assignments.valid_from
        and greatest(calls.business_date, first_assignment.first_date) < assignments.valid_to
    left join prefixes as prefix_6
        on calls.caller_prefix = prefix_6.prefix
        and calls.business_date >= prefix_6.valid_from
        and calls.business_date < prefix_6.valid_to
    left join prefixes as prefix_5
        on left(calls.caller_prefix, 5) = prefix_5.prefix
        and calls.business_date >= prefix_5.valid_from
        and calls.business_date < prefix_5.valid_to
    left join prefixes as prefix_4
        on left(calls.caller_prefix, 4) = prefix_4.prefix
        and calls.business_date >= prefix_4.valid_from
        and calls.business_date < prefix_4.valid_to
),

at_home as (
    select
        placed.*,
        case
            when file_home.home_key is not null then 'customer_file'
            when line_home.home_key is not null then 'line_assignment'
            when prefix_home.home_key is not null then 'prefix'
            else 'unknown'
        end as home_source,
        prefix_home.department_code as prefix_department_code,
        coalesce(file_home.home_key, line_home.home_key, prefix_home.home_key) as home_key
    from placed
    left join homes as file_home
        on placed.line_department_code = file_home.home_key
        and placed.business_date >= file_home.valid_from
        and placed.business_date < file_home.valid_to
    left join homes as line_home
        on placed.assigned_department_code = line_home.home_key
        and placed.business_date >= line_home.valid_from
        and placed.business_date < line_home.valid_to
    left join homes as prefix_home
        on placed.prefix_home_key = prefix_home.home_key
        and placed.business_date >= prefix_home.valid_from
        and placed.business_date < prefix_home.valid_to
),

final as (
    select
        at_home.*,
        homes.department_code as home_department_code,
        coalesce(homes.region_code, 'unknown') as home_region_code,
        coalesce(homes.directorate_code, 'unknown') as home_directorate_code,
        homes.certainty as home_certainty,
        coalesce(homes.zone_code, '*') as zone_code
    from at_home
    left join homes
        on at_home.home_key = homes.home_key
        and at_home.business_date >= homes.valid_from
        and at_home.business_date < homes.valid_to
)

select * from final
