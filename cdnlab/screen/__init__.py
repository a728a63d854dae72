"""What a person sees on a terminal: the cluster while it runs, and a node's explanation of a request."""
