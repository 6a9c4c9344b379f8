"""How pages are made of templates."""

from __future__ import annotations

import jinja2


def page_environment(package: str) -> jinja2.Environment:
    """For the templates of a package: every value is escaped, a missing one is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
