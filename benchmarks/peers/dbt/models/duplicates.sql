SELECT rid, ['order_id: duplicate_key'] AS reasons
FROM {{ ref('validated') }}
JOIN (SELECT order_id FROM {{ ref('validated') }} WHERE reasons IS NULL GROUP BY ALL HAVING count(*) > 1) USING (order_id)
WHERE reasons IS NULL QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY filename, rid DESC) > 1
