"""The header of one image: what intake, imaging and results need to know of it, without its pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from vigil.domain.identity import PRODUCT
from vigil.intake.anatomy import body_part_of, contrast_of
from vigil.intake.attributes import Attributes
from vigil.intake.errors import TruncatedInstance, UnreadableInstance
from vigil.intake.functional_groups import FrameHeader, read_frames
from vigil.intake.identity import IdentityParts, age_by_birth_date_years, age_years, identity_parts, identity_sha256
from vigil.intake.part10 import PARSER_ERRORS, Instance, read_dataset, read_instance
from vigil.intake.requested import Requested, read_requested

__all__ = ["ImageHeader", "header_of", "read_dataset", "read_header"]

# Attributes that turn stored values into values, beside the pixels themselves: representation and rescale.
_VALUE_TAGS = (0x00280002, 0x00280004, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280103, 0x00281052, 0x00281053)
_REQUEST_PRIORITY = (0x00401003, 0x0032000C)
_WHEREABOUTS = (0x00380300, 0x00081040, 0x00321033)  # Current Patient Location, Department, Requesting Service
VIDEO = "1.2.840.10008.1.2.4.10"
"""Of MPEG and HEVC: one stream holds all frames, and what number of them it claims nobody can check."""
# Those that are always lossy: of JPEG 2000 and HTJ2K in general the attribute alone tells.
_LOSSY_SYNTAXES = frozenset(map(str, (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)))


@dataclass(frozen=True)
class Concatenation:
    """A multi-frame image that was cut into several instances (PS3.3 C.7.6.16.2.2.4). ``total``: parts, None where unsaid."""

    uid: str
    number: int
    total: int | None


@dataclass(frozen=True)
class ImageHeader:
    """One instance of a study, as its header says. ``None`` or an empty string: the header does not say.

    ``content_sha256``: of the data set without preamble and file meta information, so that the same image sent again by
    another node has the same hash. ``identity_sha256``: of name, birth date and sex, to see two patients in one study
    without keeping who they are.
    """

    orthanc_id: str
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    content_sha256: str
    identity_sha256: str
    transfer_syntax_uid: str
    modality: str
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    descriptions: str = ""
    """Study, series and protocol description, joined, in lower case."""
    series_description: str = ""
    series_number: int | None = None
    acquisition_number: int | None = None
    instance_number: int | None = None
    images_in_acquisition: int | None = None
    patient_age_years: float | None = None
    study_started: str = ""
    """Study Date and Study Time as the header writes them: YYYYMMDDHHMMSS, or a shorter prefix."""
    has_pixel_data: bool = False
    frames: int = 1
    rows: int = 0
    columns: int = 0
    position_mm: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    frame_of_reference_uid: str = ""
    identity: IdentityParts = ("", "", "", "")
    """Hashes of name, birth date, sex and issuer, each empty where the header does not say."""
    age_by_birth_date_years: float | None = None
    """Whole years between birth date and study date, beside what Patient's Age says."""
    pixel_sha256: str = ""
    """Of the pixels as stored, their representation and their rescale: equal means the same image under other UIDs."""
    protocol: str = ""
    """Protocol Name."""
    sex: str = ""
    manufacturer: str = ""
    kernels: tuple[str, ...] = ()
    field_strength_t: float | None = None
    contrast_agent: str = ""
    view_position: str = ""
    lossy: bool = False
    """Whether the image was ever compressed with loss, as Lossy Image Compression or its transfer syntax says."""
    burned_in: bool = False
    """Whether Burned In Annotation says that text or marks stand in the pixels."""
    echo_time_ms: float | None = None
    b_value: float | None = None
    temporal_position: int | None = None
    trigger_time_ms: float | None = None
    planes: tuple[FrameHeader, ...] = ()
    """What an enhanced multi-frame image says of each frame."""
    frame: int | None = None
    """Of a frame that is looked at as an image of its own (:mod:`vigil.intake.frames`): its number, from 1."""
    stack_id: str = ""
    dimension_indices: tuple[int, ...] = ()
    """Of a frame: its place along each dimension of the image that is none of space, such as time or diffusion."""
    concatenation: Concatenation | None = None
    imager_pixel_spacing_mm: tuple[float, float] | None = None
    """At the detector of a projection image."""
    laterality: str = ""
    ours: bool = False
    """Whether a Vigil made it, this one or another: Contributing Equipment says so."""
    scanning_sequence: tuple[str, ...] = ()
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    request_priority: str = ""
    """Requested Procedure Priority, or the retired Study Priority ID: "STAT", "HIGH", "ROUTINE", ..."""
    requested: Requested = field(default_factory=Requested)
    """What was asked for, and why."""
    manufacturer_model: str = ""
    """Manufacturer's Model Name."""
    whereabouts: str = ""
    """Where the patient is, and who asked: current location, department and requesting service, joined, in lower case."""


def read_header(orthanc_id: str, dicom: bytes) -> ImageHeader:
    """The header of a DICOM file (PS3.10).

    Raises: UnreadableInstance, and nothing else, for any bytes; TruncatedInstance (one of it) where the file ends too
    early, also in its pixels.
    """
    return header_of(orthanc_id, read_instance(dicom))


def header_of(orthanc_id: str, instance: Instance) -> ImageHeader:
    """The same of a file that was read. Raises: UnreadableInstance."""
    try:
        return _header(orthanc_id, instance)
    except PARSER_ERRORS as error:
        raise UnreadableInstance(f"the header cannot be read ({type(error).__name__})") from None


def _header(orthanc_id: str, instance: Instance) -> ImageHeader:
    attributes = Attributes(instance.dataset)
    sop_instance_uid, series_instance_uid = attributes.text(0x00080018), attributes.text(0x0020000E)
    if not sop_instance_uid or not series_instance_uid:
        raise UnreadableInstance("the header lacks its SOP Instance UID or its Series Instance UID")
    study_date, study_time = attributes.text(0x00080020).replace(".", ""), attributes.text(0x00080030)
    study, series, protocol = (attributes.words(tag) for tag in (0x00081030, 0x0008103E, 0x00181030))
    by_birth_date = age_by_birth_date_years(attributes, study_date)
    age = age_years(attributes)
    frames = attributes.integer(0x00280008)
    position, orientation = attributes.decimals(0x00200032), attributes.decimals(0x00200037)
    pixel_spacing, at_detector = attributes.decimals(0x00280030), attributes.decimals(0x00181164)
    _refuse_short_pixels(attributes, instance, frames or 1)
    return ImageHeader(
        orthanc_id=orthanc_id,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=attributes.text(0x00080016) or instance.meta.media_storage_sop_class_uid,
        series_instance_uid=series_instance_uid,
        content_sha256=instance.content_sha256,
        identity_sha256=identity_sha256(attributes),
        transfer_syntax_uid=instance.meta.transfer_syntax_uid,
        modality=attributes.text(0x00080060).upper(),
        image_type=attributes.code_strings(0x00080008),
        body_part=attributes.text(0x00180015).upper() or body_part_of(attributes),
        descriptions=" ".join(part for part in (study, series, protocol) if part).lower(),
        series_description=series,
        series_number=attributes.integer(0x00200011),
        acquisition_number=attributes.integer(0x00200012),
        instance_number=attributes.integer(0x00200013),
        images_in_acquisition=attributes.integer(0x00201002),
        patient_age_years=by_birth_date if age is None else age,
        study_started=(study_date + study_time.replace(":", "").split(".")[0]) if study_date else "",
        has_pixel_data=instance.pixels is not None and not instance.pixels.empty,
        frames=max(frames or 1, 1),
        rows=attributes.unsigned_short(0x00280010),
        columns=attributes.unsigned_short(0x00280011),
        position_mm=(position[0], position[1], position[2]) if len(position) == 3 else None,
        orientation=(
            (orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5])
            if len(orientation) == 6 else None
        ),
        pixel_spacing_mm=(pixel_spacing[0], pixel_spacing[1]) if len(pixel_spacing) == 2 else None,
        slice_thickness_mm=attributes.decimal(0x00180050),
        frame_of_reference_uid=attributes.text(0x00200052),
        identity=identity_parts(attributes),
        age_by_birth_date_years=by_birth_date,
        pixel_sha256=_pixel_sha256(attributes, instance),
        protocol=protocol,
        sex=attributes.text(0x00100040).upper(),
        manufacturer=attributes.words(0x00080070),
        kernels=attributes.code_strings(0x00181210),
        field_strength_t=attributes.decimal(0x00180087),
        contrast_agent=attributes.words(0x00180010) or contrast_of(attributes),
        view_position=attributes.text(0x00185101).upper(),
        lossy=attributes.text(0x00282110) == "01" or instance.meta.transfer_syntax_uid in _LOSSY_SYNTAXES,
        burned_in=attributes.text(0x00280301).upper() == "YES",
        echo_time_ms=attributes.decimal(0x00180081),
        b_value=attributes.double(0x00189087),
        temporal_position=attributes.integer(0x00200100),
        trigger_time_ms=attributes.decimal(0x00181060),
        planes=read_frames(attributes, max(frames or 1, 1)),
        concatenation=_concatenation(attributes),
        imager_pixel_spacing_mm=(at_detector[0], at_detector[1]) if len(at_detector) == 2 else None,
        ours=any(item.words(0x00080070) == PRODUCT for item in attributes.items(0x0018A001)),
        laterality=(attributes.text(0x00200062) or attributes.text(0x00200060)).upper(),
        scanning_sequence=attributes.code_strings(0x00180020),
        repetition_time_ms=attributes.decimal(0x00180080),
        inversion_time_ms=attributes.decimal(0x00180082),
        requested=read_requested(attributes),
        manufacturer_model=attributes.words(0x00081090),
        request_priority=_request_priority(attributes),
        whereabouts="; ".join(words for tag in _WHEREABOUTS if (words := attributes.words(tag))).lower(),
    )


def _request_priority(attributes: Attributes) -> str:
    """Of the image, or of an item of its Request Attributes Sequence: scanners write it to either."""
    levels = (attributes, *attributes.items(0x00400275))
    said = [text for level in levels for tag in _REQUEST_PRIORITY if (text := level.text(tag))]
    return said[0].upper() if said else ""


def _concatenation(attributes: Attributes) -> Concatenation | None:
    uid = attributes.text(0x00209161)
    if not uid:
        return None
    return Concatenation(uid, attributes.unsigned_short(0x00209162), attributes.unsigned_short(0x00209163) or None)


def _pixel_sha256(attributes: Attributes, instance: Instance) -> str:
    pixels = instance.pixels
    if pixels is None or pixels.empty:
        return ""
    state = hashlib.sha256(instance.meta.transfer_syntax_uid.encode())
    for tag in _VALUE_TAGS:
        state.update(b"|" + attributes.raw(tag))
    state.update(instance.pixel_digest)
    return state.hexdigest()


def _refuse_short_pixels(attributes: Attributes, instance: Instance, frames: int) -> None:
    """Uncompressed grey pixels have a length that the header foretells (colour may be subsampled), and a compressed frame is a
    fragment at the least (but for video)."""
    pixels = instance.pixels
    if pixels is None or pixels.empty:
        return
    if pixels.encapsulated:
        if pixels.fragments < frames and not instance.meta.transfer_syntax_uid.startswith(VIDEO):
            raise TruncatedInstance(f"the pixel data holds {pixels.fragments} of {frames} frames")
        return
    if attributes.unsigned_short(0x00280002) != 1:
        return
    bits = attributes.unsigned_short(0x00280010) * attributes.unsigned_short(0x00280011) * frames
    expected, there = bits * attributes.unsigned_short(0x00280100) // 8, pixels.end - pixels.start
    if there < expected:
        raise TruncatedInstance(f"the pixel data is too short: {there} of {expected} bytes are there")
