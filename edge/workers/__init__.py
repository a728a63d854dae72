"""Several processes that serve one node: one leads, the others answer hits with copies, and pass all else on to it."""
