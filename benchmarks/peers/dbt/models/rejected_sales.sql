WITH bad AS (
    SELECT rid, reasons FROM {{ ref('validated') }} WHERE reasons IS NOT NULL
    UNION ALL FROM {{ ref('duplicates') }})
SELECT raw.*, bad.reasons FROM {{ ref('raw_sales') }} AS raw JOIN bad ON raw.rowid = bad.rid
