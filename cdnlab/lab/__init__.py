"""A cluster on this machine: its processes, how they are watched and started again, and the folder of the run."""
