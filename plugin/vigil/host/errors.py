"""What can go wrong between Vigil and Orthanc. :class:`vigil.domain.gateway.GatewayError` is the common word."""

from __future__ import annotations

from vigil.domain.gateway import GatewayError


class OrthancUnreachable(GatewayError):
    """Orthanc did not answer over HTTP."""


class OrthancRefused(GatewayError):
    """Orthanc answered with an error."""


class StudyGone(GatewayError):
    """The resource is not in Orthanc any more."""
