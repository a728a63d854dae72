"""The settings of a service, the profile of a CDN, and the behavior that a request is under."""
