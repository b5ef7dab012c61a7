{%- set sums = [
    'requested_count',
    'requested_after_installation_count',
    'done_with_line_count',
    'first_time_right_count',
    'promised_slot_count',
    'appointment_count',
    'appointment_kept_count',
    'operator_no_show_count',
    'customer_no_access_count',
    'appointment_delay_count',
    'appointment_delay_days',
    'supply_count',
    'supply_days',
    'repair_count',
    'repair_hours',
    'active_line_count',
] -%}
{%- set windows = ['interventions', 'first_time_right_30d'] -%}

with finality as (
    {{ finality_by_date(windows) }}
),

-- Inlined in each branch, so that one branch reads no other's rows.
daily as not materialized (
    select
        sums.*,
        coalesce(finality.is_interventions_final, false) as is_interventions_final,
        coalesce(finality.is_first_time_right_30d_final, false) as is_first_time_right_30d_final
    from {{ ref('mart_interventions_daily') }} as sums
    left join finality on sums.business_date = finality.business_date
),

rolled as (
    {{ rolled_up('daily', sums, by='kind', flags=['is_interventions_final', 'is_first_time_right_30d_final']) }}
)

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    kind,
    day_count,
    is_interventions_final,
    is_first_time_right_30d_final,
    requested_count::bigint as requested_count,
    done_with_line_count::bigint as done_with_line_count,
    promised_slot_count::bigint as promised_slot_count,
    appointment_count::bigint as appointment_count,
    {{ ratio('first_time_right_count', 'done_with_line_count') }} as first_time_right_rate,
    {{ ratio('appointment_kept_count', 'appointment_count') }} as appointment_kept_rate,
    {{ ratio('operator_no_show_count', 'promised_slot_count') }} as operator_no_show_rate,
    {{ ratio('customer_no_access_count', 'promised_slot_count') }} as customer_no_access_rate,
    {{ ratio('appointment_delay_days', 'appointment_delay_count') }} as mean_appointment_delay_days,
    {{ ratio('supply_days', 'supply_count') }} as mean_supply_days,
    {{ ratio('repair_hours', 'repair_count') }} as mean_repair_hours,
    {{ ratio('requested_after_installation_count', 'requested_count') }} as repair_after_installation_share,
    case
        when kind = 'repair'
            then {{ ratio('requested_count * day_count', 'active_line_count', '1000.0') }}
    end as fault_rate_per_1000_lines
from rolled
