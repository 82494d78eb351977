-- What the customers of each country bought on each day. Cancellations take back, so a day may be below zero.
SELECT
    _batch_date,
    country,
    count(DISTINCT invoice_no) AS invoices,
    sum(quantity)::BIGINT AS units,
    sum(line_amount) AS revenue
FROM cleaned_online_retail
GROUP BY _batch_date, country
ORDER BY _batch_date, country
