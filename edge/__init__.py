"""A cache node over HTTP: `driver.py` has the life of a request, `serve.py` starts a node as a process."""
