"""The options that several verbs share."""

import typer

JSON = typer.Option("--json", help="Print JSON, for scripts.")
JSON_LINES = typer.Option("--json", help="Print one JSON object per line, for scripts.")
NEW_RUNS = typer.Option("--runs", help="The folder in which to create the run folder.")
RUNS = typer.Option("--runs", help="The folder that holds the run folders; the newest run still going is used.")
ADMIN = typer.Option("--admin", help="URL of a node's admin listener, for a node that `cdnlab up` did not start.")
