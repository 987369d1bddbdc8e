"""What can go wrong on the way out. Messages name the destination and what to do, and hold nothing of a patient."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class DeliveryError(VigilError):
    """Something could not be delivered; the ledger keeps it and tries again."""


class DestinationUnreachable(DeliveryError):
    """No connection: nobody listens, the name is unknown, or a firewall drops the packets."""

    category = Category.DESTINATION_UNREACHABLE


class DestinationRefused(DeliveryError):
    """The destination is there and said no."""

    category = Category.DESTINATION_REFUSED


class DestinationAborted(DestinationRefused):
    """The destination broke the connection off in the middle; what it took before is recorded."""


class DestinationBusy(DestinationRefused):
    """The destination said no for now (PS3.8 9.3.4: rejected-transient)."""


class DestinationSilent(DeliveryError):
    """The destination took the connection and did not answer in time; it may have received what was sent."""

    category = Category.DESTINATION_SILENT


class ProtocolError(DeliveryError):
    """The destination answered with something that is not HL7."""

    category = Category.DESTINATION_REFUSED


class MessageInvalid(DeliveryError):
    """A message that could be matched to nobody, or that cannot be written at all."""

    category = Category.MESSAGE_INVALID


class DestinationInvalid(DeliveryError):
    """A destination's settings contradict the standard; found when the settings are read, not at the first alert."""

    category = Category.SETTINGS_INVALID


class ListenerNotOpened(DeliveryError):
    """The port for storage commitment cannot be opened; deliveries wait for their confirmation, and everything else goes on."""

    category = Category.SETTINGS_INVALID
