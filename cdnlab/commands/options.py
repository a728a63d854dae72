"""The options that several verbs have."""

import typer

JSON = typer.Option("--json", help="JSON, for scripts.")
JSON_LINES = typer.Option("--json", help="One JSON object a line, for scripts.")
NEW_RUNS = typer.Option("--runs", help="The folder that run folders are made in.")
RUNS = typer.Option("--runs", help="Where the run folders are; the newest that still runs is asked.")
ADMIN = typer.Option("--admin", help="URL of a node's admin listener, for one that `cdnlab up` did not start.")
