"""`cdnlab schema`: the settings as JSON Schema, or as the page docs/settings.md."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]cdnlab schema > cdn.schema.json[/]")(schema)


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the settings reference of docs/settings.md instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of cdn.toml, for editors that complete and check TOML."""
    import json

    from cdnlab.settings import schema as made

    print(made.markdown() if markdown else json.dumps(made.json_schema(), indent=2))
