"""The control API: the vendors' own clients, unmodified, purge the lab's nodes and change how they respond."""
