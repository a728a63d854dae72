"""Amazon CloudFront."""

from cdnkit.vendors.cloudfront.profile import CLOUDFRONT

__all__ = ["CLOUDFRONT"]
