SELECT batch_date, product_id, count(DISTINCT order_id) AS orders, sum(quantity)::BIGINT AS units_sold,
    sum(total_amount) AS revenue, min(sold_at)::DATE AS first_sold_on, max(sold_at)::DATE AS last_sold_on
FROM {{ ref('cleaned_sales') }} GROUP BY ALL ORDER BY ALL
