"""A cluster on this machine: its processes, which are watched and restarted, and the folder of its run."""
