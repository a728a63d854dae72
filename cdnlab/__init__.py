"""cdnlab: a CDN that runs on your laptop. This package sets the others up; only it knows everybody."""

__version__ = "0.1.0"

__all__ = ["__version__"]
