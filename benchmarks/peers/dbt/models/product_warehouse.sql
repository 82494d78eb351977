SELECT product_id, name, category, list_price, sum(orders) AS orders, sum(units_sold) AS units_sold,
    sum(revenue) AS revenue, min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on
FROM read_json('{{ env_var("DATA_DIR") }}/landing/products/*.json')
FULL JOIN {{ ref('product_daily_sales') }} USING (product_id) GROUP BY ALL ORDER BY ALL
