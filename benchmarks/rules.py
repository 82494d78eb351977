"""The contract of the benchmark's sales, written by hand as SQL: for contenders that know no contract."""

TEXTS = tuple("order_id customer_id product_id quantity price sold_at channel".split())
"""The columns of the files."""

VALUES = tuple("order_id customer_id product_id quantity price total_amount sold_at channel".split())
"""The columns of `cleaned_sales`, of which `total_amount` is computed."""

TYPES = {
    "product_id": "TRY_CAST(_product_id AS INTEGER)",
    "quantity": "TRY_CAST(_quantity AS INTEGER)",
    "price": "TRY_CAST(_price AS DECIMAL(18, 2))",
    "sold_at": "try_strptime(_sold_at, '%Y-%m-%d %H:%M:%S')",
}

BROKEN = {
    "order_id: required": "order_id IS NULL",
    "order_id: maxLength": "length(order_id) > 40",
    "order_id: pattern": "NOT regexp_full_match(order_id, '[A-Za-z0-9_-]+')",
    "product_id: required": "_product_id IS NULL",
    "product_id: type": "_product_id IS NOT NULL AND product_id IS NULL",
    "product_id: minimum": "product_id < 1",
    "quantity: required": "_quantity IS NULL",
    "quantity: type": "_quantity IS NOT NULL AND quantity IS NULL",
    "quantity: minimum": "quantity < 1",
    "quantity: maximum": "quantity > 10000",
    "price: required": "_price IS NULL",
    "price: type": "_price IS NOT NULL AND price IS NULL",
    "price: minimum": "price < 0",
    "sold_at: required": "_sold_at IS NULL",
    "sold_at: type": "_sold_at IS NOT NULL AND sold_at IS NULL",
    "channel: required": "channel IS NULL",
    "channel: enum": "channel NOT IN ('store', 'online', 'marketplace', 'phone')",
}
"""When a record breaks which rule."""

TRIMMED = ", ".join(f"nullif(trim({name}), '') AS {'_' * (name in TYPES)}{name}" for name in TEXTS)
"""The texts, those that are to be converted with an underscore before their names."""

TYPED = ", ".join(
    [*(f"{value} AS {name}" for name, value in TYPES.items()), "(quantity * price)::DECIMAL(18, 2) AS total_amount"]
)
"""Their values."""

REASONS = f"""CASE WHEN {" OR ".join(f"({broken})" for broken in BROKEN.values())} THEN list_filter(
    [{", ".join(f"CASE WHEN {broken} THEN '{reason}' END" for reason, broken in BROKEN.items())}],
    lambda reason: reason IS NOT NULL) END"""
"""Every rule that a record breaks; NULL for one that breaks none."""
