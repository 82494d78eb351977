-- What each product sold on each batch day. An order that is spread over several batch days counts on each of them.
SELECT
    _batch_date,
    product_id,
    count(DISTINCT order_id) AS orders,
    sum(quantity)::BIGINT AS units_sold,
    sum(total_amount) AS revenue,
    min(sold_at)::DATE AS first_sold_on,
    max(sold_at)::DATE AS last_sold_on
FROM cleaned_sales
GROUP BY _batch_date, product_id
ORDER BY _batch_date, product_id
