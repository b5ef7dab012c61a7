with regions as (
    select * from {{ ref('regions') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

departments as (
    select * from {{ ref('departments') }}
),

sites as (
    select * from {{ ref('sites') }}
),

reasons as (
    select * from {{ ref('contact_reasons') }}
),

nameless (kind, code, name_fr, name_en) as (
    values
    ('region', 'unknown', 'Inconnu', 'Unknown'),
    ('directorate', 'unknown', 'Inconnu', 'Unknown'),
    ('department', 'unknown', 'Inconnu', 'Unknown'),
    ('site', 'unknown', 'Inconnu', 'Unknown'),
    ('site', 'none', 'Aucun', 'None'),
    ('reason', 'unknown', 'Inconnu', 'Unknown'),
    ('nation', 'nation', 'France', 'France')
),

final as (
    select
        'region' as kind,
        region_code as code,
        region_name as name_fr,
        region_name as name_en
    from regions
    union all
    select
        'directorate' as kind,
        directorate_code as code,
        directorate_name as name_fr,
        directorate_name as name_en
    from directorates
    union all
    select
        'department' as kind,
        department_code as code,
        department_name as name_fr,
        department_name as name_en
    from departments
    union all
    select
        'site' as kind,
        site_code as code,
        site_name as name_fr,
        site_name as name_en
    from sites
    union all
    select
        'reason' as kind,
        reason_code as code,
        reason_label_fr as name_fr,
        reason_label_en as name_en
    from reasons
    union all
    select
        kind,
        code,
        name_fr,
        name_en
    from nameless
)

select * from final
