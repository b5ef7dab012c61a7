{#-
    What people do within some days of each other is counted again for the people of the changed dates alone, whatever
    else the two months around them hold: from the published figures goes what these people came to before, to them
    comes what they come to now. A row carries its `sign`: -1 as it counted, 1 as it counts, both on a date that did not
    change. In a full refresh, where the model is new, and where a subject of its `meta.counted_anew_by` changed, every
    row counts once and no published figure does. A model that is not a mart says in its `meta.published_in` which
    marts hold its figures.
-#}
{% macro is_by_difference() %}
    {%- if not is_incremental() or flags.FULL_REFRESH or published('fct_calls') is none -%}
        {{ return(false) }}
    {%- endif -%}
    {#- Built by a build that failed, and by none before it; or published in another shape. -#}
    {%- for mart in model.config.meta.get('published_in', [model.name] if 'publish' in model.config.meta else []) -%}
        {%- if not is_published_as_declared(mart) -%}{{ return(false) }}{%- endif -%}
    {%- endfor -%}
    {%- set anew_by = model.config.meta.get('counted_anew_by') -%}
    {{ return(not (anew_by and changed_dates(anew_by))) }}
{% endmacro %}


{#- Whether BI has a mart with all columns that its contract has now. -#}
{% macro is_published_as_declared(mart) %}
    {%- set relation = published(mart) -%}
    {%- if relation is none -%}{{ return(false) }}{%- endif -%}
    {%- set known = rows_once(columns_in_catalogue(relation)) | map(attribute='name') | list -%}
    {{ return(node_of(mart).columns.keys() | reject('in', known) | list == []) }}
{% endmacro %}


{#- The people of a fact's changed dates, before and now, as a query. -#}
{% macro changed_people(fact, condition) %}
    {%- if not is_by_difference() -%}{{ return('select null::bigint as identity_key where false') }}{%- endif -%}
    select identity_key
    from {{ published(fact) }}
    where {{ is_changed(of=node_of(fact)) }} and {{ condition }}
    union
    select identity_key
    from {{ ref(fact) }}
    where {{ condition }}
{% endmacro %}


{#-
    The rows of a fact with their sign, as a query: those of its changed dates, and of `people` (a CTE) those on the
    other dates that the model recomputes and up to `days` after them. Person by person, so that a night never reads
    all history. With `others_once`, a row on a date that did not change comes once, with the sign 0, not twice.
-#}
{% macro signed_rows(fact, columns, condition, people, days, others_once=false) %}
    {%- set columns = columns | join(', ') -%}
    {%- if not is_by_difference() -%}
        {%- set dates = is_changed(days_after=days) if is_incremental() else 'true' -%}
        {{ return(
            'select 1 as sign, identity_key, ' ~ columns ~ ' from ' ~ all_dates(fact)
            ~ ' where ' ~ condition ~ ' and ' ~ dates
        ) }}
    {%- endif -%}
    {%- set mart, node, dates = published(fact), node_of(fact), dates_of(model, days_after=days) or ['null'] -%}
    select -1 as sign, identity_key, {{ columns }} from {{ mart }} where {{ is_changed(of=node) }} and {{ condition }}
    union all
    select 1 as sign, identity_key, {{ columns }} from {{ ref(fact) }} where {{ condition }}
    union all
    select signs.sign, rows_of_person.*
    from (select distinct identity_key from {{ people }}) as persons
    cross join lateral (
        select identity_key, {{ columns }}
        from {{ mart }} as fact
        where
            fact.identity_key = persons.identity_key
            and fact.business_date between {{ dates | first }} and {{ dates | last }}
            and {{ condition }}
        offset 0
    ) as rows_of_person
    cross join (values {{ '(0)' if others_once else '(-1), (1)' }}) as signs (sign)
    where
        rows_of_person.business_date in ({{ dates | join(', ') }})
        and not ({{ is_changed('rows_of_person.business_date', of=node) }})
{% endmacro %}


{#- The published figures of the dates that the model recomputes, as a query. -#}
{% macro published_figures(mart, columns) %}
    select {{ columns | join(', ') }}
    from {{ published(mart) }}
    where {{ is_changed() }}
{% endmacro %}


{#-
    Signed rows of contacts (a CTE, those on other dates once) with `until_next`, the time until the same person's next
    contact, and `until_next_of_reason`, until the next about the same reason, as a query. Each row comes as it was before
    (sign -1) and as it is now (sign 1), but for those on other dates that nothing else follows than before: taking them back
    and counting them anew come to nothing.
-#}
{% macro with_next_contact(rows, columns) %}
    with behind as (
        select
            *,
            min(offered_at) filter (where sign <= 0) over of_person as next_before,
            min(offered_at) filter (where sign >= 0) over of_person as next_now,
            min(offered_at) filter (where sign <= 0) over of_reason as next_of_reason_before,
            min(offered_at) filter (where sign >= 0) over of_reason as next_of_reason_now
        from {{ rows }}
        window
            of_person as (
                partition by identity_key order by offered_at desc
                groups between unbounded preceding and 1 preceding
            ),
            of_reason as (
                partition by identity_key, reason_code order by offered_at desc
                groups between unbounded preceding and 1 preceding
            )
    )
    {% for state, sign in [('before', -1), ('now', 1)] %}
    select
        {{ columns | join(', ') }},
        {{ sign }} as sign,
        next_{{ state }} - offered_at as until_next,
        next_of_reason_{{ state }} - offered_at as until_next_of_reason
    from behind
    where
        sign = {{ sign }}
        or sign = 0
        and (next_before, next_of_reason_before) is distinct from (next_now, next_of_reason_now)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endmacro %}
