"""How purge orders reach a node: the log that holds them, and the node that follows it and carries them out
(cdnkit/policy/machine/purge_log.py)."""
