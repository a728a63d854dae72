"""Amazon CloudFront."""

from cdnkit.vendors.cloudfront.profile import CLOUDFRONT

PROFILE = CLOUDFRONT

__all__ = ["CLOUDFRONT", "PROFILE"]
