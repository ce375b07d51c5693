"""The service's documentation as a page that loads nothing from elsewhere."""

from __future__ import annotations

from importlib import resources

from flows.document import Document


def page(openapi: Document) -> str:
    """Render an OpenAPI document as HTML."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = resources.files("flows").joinpath("templates/service.html").read_text()
    calls = [
        {"method": method.upper(), "path": path, **about}
        for path, methods in openapi["paths"].items()
        for method, about in methods.items()
    ]
    return environment.from_string(text).render(
        api=openapi["info"], calls=calls, values=openapi["components"]["schemas"]
    )
