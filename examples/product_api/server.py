"""A product catalogue behind an API with pages and a key, to try the example with. It needs nothing but Python.

PRODUCT_API_KEY=... python examples/product_api/server.py
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PRODUCTS = [f'{{"id": "P{number:03}", "name": "Product {number}", "price": {number}.10}}' for number in range(1, 26)]
PAGE = 10


class Catalogue(BaseHTTPRequestHandler):
    """Answers `/products?page=1`, if the header X-Api-Key has the key."""

    def do_GET(self) -> None:
        """Answer a page, with the link to the next one."""
        parts = urlsplit(self.path)
        if self.headers.get("X-Api-Key") != os.environ["PRODUCT_API_KEY"]:  # noqa: TID251 - a program of its own
            self._answer(401, '{"error": "the header X-Api-Key does not have the key"}')
        elif parts.path != "/products":
            self._answer(404, '{"error": "there is only /products"}')
        else:
            self._answer(200, page_of(int(parse_qs(parts.query).get("page", ["1"])[0])))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def page_of(number: int) -> str:
    """A page, from 1. The prices are written as they are: a program that reads and writes them makes 1.1 of 1.10."""
    products = PRODUCTS[PAGE * (number - 1) : PAGE * number]
    following = f"/products?page={number + 1}" if PAGE * number < len(PRODUCTS) else None
    items = ", ".join(products)
    return f'{{"data": {{"items": [{items}]}}, "total": {len(PRODUCTS)}, "next": {json.dumps(following)}}}'


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8765), Catalogue) as server:
        print(f"http://127.0.0.1:{server.server_port}/products", flush=True)  # noqa: T201 - where it is found
        server.serve_forever()
