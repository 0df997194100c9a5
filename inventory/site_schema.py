"""Prints the JSON schema of a site file: `python -m inventory.site_schema > docs/site.schema.json`."""

import json
import sys

from inventory.site_model import site_schema


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(site_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
