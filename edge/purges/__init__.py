"""How orders to purge reach a node: the log they stand in, and the node's following it
(cdnkit/policy/machine/purge_log.py)."""
