"""What can be wrong with pixels. Messages name counts, sizes and standards, never a value of the patient."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class ImagingError(VigilError):
    """The pixels of an image cannot become part of a volume."""


class UnreadablePixels(ImagingError):
    """The pixel data is not what the header says it is."""

    category = Category.UNREADABLE_INSTANCE


class TruncatedPixels(UnreadablePixels):
    """The pixel data ends too early. ``expected`` and ``actual``: bytes of one image."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"the pixel data is too short: {actual} of {expected} bytes are there; send the image again")
        self.expected = expected
        self.actual = actual


class NoPixelData(ImagingError):
    category = Category.NO_PIXEL_DATA

    def __init__(self) -> None:
        super().__init__("the image has no pixel data; send it again")


class UnsupportedTransferSyntax(ImagingError):
    """Pixels are written in a way that Vigil does not read. ``uid``: the transfer syntax."""

    category = Category.UNSUPPORTED_TRANSFER_SYNTAX

    def __init__(self, uid: str, name: str) -> None:
        called = f"{name} ({uid})" if name and name != uid else uid or "not named"
        super().__init__(
            f"the transfer syntax of the pixels, {called}, is not supported; send the images uncompressed or as RLE, "
            "JPEG Lossless, JPEG-LS or JPEG 2000"
        )
        self.uid = uid


class UnsupportedPixels(ImagingError):
    """Pixels that are no Hounsfield units, no grey values, or more than one image."""

    category = Category.OUT_OF_SCOPE


class UptakeUnknown(ImagingError):
    """PET values of which no standardised uptake can be told."""

    category = Category.OUT_OF_SCOPE

    def __init__(self, why: str) -> None:
        super().__init__(f"the standardised uptake of the PET images cannot be told: {why}")


class ImageGone(ImagingError):
    """An image was deleted from Orthanc since it was listed."""

    category = Category.INCOMPLETE

    def __init__(self) -> None:
        super().__init__("an image of the series was deleted while it was analysed; send the series again")


class ImageReplaced(ImagingError):
    """An image is another one than when the study was looked at."""

    category = Category.INCOMPLETE

    def __init__(self) -> None:
        super().__init__("an image of the series was replaced while it was analysed; the new series is analysed by itself")


class VolumeTooLarge(ImagingError):
    """The volume, or one image, would not fit the memory that it may take."""

    category = Category.STUDY_TOO_LARGE


class ImplausibleValues(ImagingError):
    """The values of a CT are no Hounsfield units. ``seen``: why not."""

    category = Category.IMPLAUSIBLE_VALUES

    def __init__(self, seen: str) -> None:
        super().__init__(f"the values of the images are no Hounsfield units: {seen}; send the scanner's own images again")


class SaturatedValues(ImagingError):
    """``seen``: where too many pixels have the highest value."""

    category = Category.SATURATED_VALUES

    def __init__(self, seen: str) -> None:
        super().__init__(f"the images are saturated: {seen}; send the scanner's own images again")


class FieldOfViewTruncated(ImagingError):
    """``cut`` of ``count`` slices; ``longest_mm``: over how much of its edge the worst of them cuts the body."""

    category = Category.TRUNCATED_ANATOMY

    def __init__(self, cut: int, count: int, longest_mm: float) -> None:
        super().__init__(
            f"the field of view cuts the body: in {cut} of {count} slices it goes on beyond the edge, over up to "
            f"{longest_mm:.0f} mm; reconstruct the series with a larger field of view")


class AttributesMissing(ImagingError):
    """``keywords``: of what the model needs and the header of an image lacks."""

    category = Category.MISSING_ATTRIBUTE

    def __init__(self, keywords: tuple[str, ...]) -> None:
        super().__init__(f"the header lacks {', '.join(keywords)}, which this model needs; send the scanner's own images again")
