SELECT * EXCLUDE (rid, reasons) FROM {{ ref('judged') }} ANTI JOIN {{ ref('duplicates') }} USING (rid)
WHERE reasons IS NULL
