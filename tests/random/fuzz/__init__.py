"""Random input for the caching law, and an oracle that knows a wrong answer when it sees one."""
