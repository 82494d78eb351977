"""Texts of sales and product files."""

import json

HEADER = "order_id,order_line,product_id,customer_id,store_id,channel,quantity,unit_price,sold_at"


def sale(order: str, product: int | str = 1, quantity: int | str = 2, price: str = "5.00", **other: str) -> str:
    """A line of a sales file."""
    line, customer = other.get("line", "1"), other.get("customer", "C7")
    day, channel = other.get("day", "2024-01-15"), other.get("channel", "store")
    return f"{order},{line},{product},{customer},S1,{channel},{quantity},{price},{day} 10:00:00"


def sales(*lines: str) -> str:
    """A sales file."""
    return "\n".join([HEADER, *lines]) + "\n"


def catalogue(*products: tuple[int, str, str, float]) -> str:
    """A catalogue of product_id, name, category and list price."""
    names = ("product_id", "name", "category", "list_price")
    return json.dumps([dict(zip(names, product, strict=True)) for product in products])
