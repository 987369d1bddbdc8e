"""The header of one image: what intake, imaging and results need to know of it, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass


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
