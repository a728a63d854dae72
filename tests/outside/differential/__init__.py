"""The same questions to nginx, Varnish and our edge, each in front of an origin of its own."""
