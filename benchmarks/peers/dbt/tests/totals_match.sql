SELECT found, sold
FROM (SELECT sum(revenue) AS found FROM {{ ref('product_warehouse') }}),
    (SELECT sum(total_amount) AS sold FROM {{ ref('cleaned_sales') }})
WHERE found <> sold
