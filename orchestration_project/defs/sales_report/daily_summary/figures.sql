-- What was sold on each batch day.
SELECT
    _batch_date,
    sum(revenue) AS revenue,
    sum(units_sold)::BIGINT AS units,
    count(*) AS products
FROM product_daily_sales
GROUP BY _batch_date
