"""Players for `locust -f loadtests/locustfile.py --host http://127.0.0.1:8081`; see `--help`."""

from loadtests.user import Viewer

__all__ = ["Viewer"]
