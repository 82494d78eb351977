SELECT {{ var('values') | join(', ') }}, rid, filename, filename[-14:-5]::DATE AS batch_date, {{ var('reasons') }} AS reasons
FROM (SELECT *, {{ var('typed') }} FROM (SELECT rowid AS rid, {{ var('trimmed') }}, filename FROM {{ ref('raw_sales') }}))
