with calls as (
    select *
    from {{ all_dates('fct_calls') }}
    where
        is_offered
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

final as (
    select
        date_bin('30 minutes', queued_at, '2000-01-01 00:00:00+00') as half_hour_at,
        business_date,
        zone_code,
        market,
        count(*) as offered_count,
        sum(handle_seconds)::bigint as handle_seconds
    from calls
    group by 1, 2, 3, 4
)

select * from final
