WITH typed AS (
    SELECT order_id, TRY_CAST(order_line AS INTEGER) AS order_line, TRY_CAST(product_id AS INTEGER) AS product_id,
        customer_id, store_id, channel, TRY_CAST(quantity AS INTEGER) AS quantity,
        TRY_CAST(unit_price AS DECIMAL(18, 2)) AS unit_price, try_strptime(sold_at, '%Y-%m-%d %H:%M:%S') AS sold_at,
        filename
    FROM {{ ref('raw_sales') }}),
sound AS (
    SELECT *, quantity * unit_price AS total_amount, sold_at::DATE AS batch_date
    FROM typed
    WHERE order_id IS NOT NULL AND length(order_id) <= 40 AND regexp_full_match(order_id, '[A-Za-z0-9_-]+')
        AND order_line >= 1 AND product_id >= 1 AND store_id IS NOT NULL
        AND channel IN ('store', 'online', 'marketplace', 'phone') AND quantity BETWEEN 1 AND 10000
        AND unit_price >= 0 AND sold_at IS NOT NULL)
SELECT * FROM sound QUALIFY row_number() OVER (PARTITION BY order_id, order_line ORDER BY filename DESC) = 1
