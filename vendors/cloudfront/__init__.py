"""Amazon CloudFront."""

from vendors.cloudfront.profile import CLOUDFRONT

__all__ = ["CLOUDFRONT"]
