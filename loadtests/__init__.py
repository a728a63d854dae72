"""The load test: virtual viewers that behave like players.

`launch` needs nothing beyond the core; `locustfile`, `user` and `session` run inside locust (extra `load`).
"""
