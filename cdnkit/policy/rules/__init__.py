"""What a service's settings and a CDN's profile say, and which behavior rules a request."""
