"""The control API: the vendors' own clients, unmodified, change what the lab's nodes hold and how they answer."""
