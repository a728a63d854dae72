"""What a person sees in a terminal: the cluster while it runs, and what a node said of a URL."""
