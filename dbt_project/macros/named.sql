{#-
    The rows of a CTE with the names that belong to their codes, as a query: `<x>_name` of each `<x>_code` in `of`, and the
    labels of `reason` in French and English; what has no name is called by its code. With `windows` also
    `is_<window>_final`: whether the figures of that window are final on the business date.
-#}
{% macro named(cells, of=['directorate', 'region'], windows=[]) %}
    select
        {{ cells }}.*
        {%- for code in of %}
        {%- if code == 'reason' %},
        coalesce(reason.name_fr, {{ cells }}.reason_code) as reason_label_fr,
        coalesce(reason.name_en, {{ cells }}.reason_code) as reason_label_en
        {%- else %},
        coalesce({{ code }}.name_en, {{ cells }}.{{ code }}_code) as {{ code }}_name
        {%- endif %}
        {%- endfor %}
        {%- for figure_window in windows %},
        coalesce(final_dates.is_{{ figure_window }}_final, false) as is_{{ figure_window }}_final
        {%- endfor %}
    from {{ cells }}
    {%- for code in of %}
    left join {{ ref('int_names') }} as {{ code }}
        on {{ code }}.kind = {{ cells ~ '.area' if code == 'area' else "'" ~ code.split('_')[-1] ~ "'" }}
        and {{ code }}.code = {{ cells }}.{{ code }}_code
    {%- endfor %}
    {%- if windows %}
    left join ({{ final_dates(windows) }}) as final_dates on {{ cells }}.business_date = final_dates.business_date
    {%- endif %}
{% endmacro %}
