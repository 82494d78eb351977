SELECT * EXCLUDE (rid, reasons) FROM {{ ref('validated') }} ANTI JOIN {{ ref('duplicates') }} USING (rid)
WHERE reasons IS NULL
