"""Asks: virtual viewers that behave like players.

`settings` and `launch` need nothing beyond the core; `locustfile` and `user` run inside locust
(extra `load`).
"""
