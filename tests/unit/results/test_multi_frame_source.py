"""An asymmetric phantom as an enhanced multi-frame image, its frames in no order: what is said of it lies where it lay."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from result_cases import headers, request
from result_files import Write
from test_segmentation import PLANES

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.enhanced import enhanced_ct
from validators.dcmqi import segimage2itkimage, tid1500reader
from validators.dicom3tools import dcentvfy, dciodvfy
from vigil.imaging.load import load_stack
from vigil.intake.frames import images_of, input_instances
from vigil.intake.header import read_dataset, read_header
from vigil.intake.stack import build_stack
from vigil.results.request import ResultRequest

DENSE_HU = 70.0
SPACING_MM = (2.5, 0.8, 0.6)


def shape() -> NDArray[np.bool_]:
    """What no flip, turn or exchange of axes leaves alone."""
    mask = np.zeros((11, 40, 56), bool)
    mask[2:5, 4:10, 7:30] = True
    mask[4:8, 4:7, 7:9] = True
    mask[9, 33, 50] = True
    return mask


def acquisition(plane: str) -> Acquisition:
    return Acquisition(
        seed=f"multi-frame {plane}", spacing_mm=SPACING_MM, orientation=PLANES[plane], origin_mm=(-31.5, 17.25, 402.0),
        started=dt.datetime(2025, 3, 14, tzinfo=dt.UTC),
    )


def sent(plane: str) -> tuple[Dataset, NDArray[np.float64]]:
    """The image, and where each voxel of the shape lies in the patient."""
    slices = list(ct_series(np.where(shape(), DENSE_HU, 0.0), acquisition(plane)))
    row, column = np.array(PLANES[plane][:3]), np.array(PLANES[plane][3:])
    places = np.array([
        np.array(slices[z].ImagePositionPatient, float) + x * SPACING_MM[2] * row + y * SPACING_MM[1] * column
        for z, y, x in np.argwhere(shape())
    ])  # fmt: skip
    order = [7, 2, 10, 0, 5, 9, 1, 8, 3, 6, 4]
    return dcmread(BytesIO(dicom_bytes(enhanced_ct([slices[index] for index in order])))), places


def analysed(image: Dataset) -> ResultRequest:
    """As the pipeline reads it; the model is a threshold."""
    dicom = dicom_bytes(image)
    stack = build_stack(images_of(read_header("image", dicom)))
    loaded = load_stack(stack, {"image": dicom}.get)
    header = read_dataset(loaded.heads[0])
    voxels = loaded.volume.voxels
    slices = [dcmread(BytesIO(dicom_bytes(ds))) for ds in ct_series(voxels, acquisition("axial"))]
    asked = request(files=slices, hu=voxels)
    return replace(
        asked, reference=headers([image])[0],
        analysis=replace(asked.analysis, study_instance_uid=str(image.StudyInstanceUID), inputs=input_instances(stack.headers)),
        sources=[header] * len(voxels), frames=loaded.frames, masks={"hyperdense": voxels == DENSE_HU},
    )


@pytest.mark.parametrize("plane", PLANES)
def test_every_voxel_of_the_segmentation_lies_where_it_lay_in_the_patient(plane: str, write: Write) -> None:
    image, places = sent(plane)
    case = write(f"multi-frame {plane}", analysed(image), [image])
    (read,) = segimage2itkimage(case.segmentation)
    voxels = np.argwhere(SimpleITK.GetArrayFromImage(read) > 0)
    found = [read.TransformIndexToPhysicalPoint((int(x), int(y), int(z))) for z, y, x in voxels]
    one, other = (np.array(sorted(np.round(points, 3).tolist())) for points in (found, places))
    assert one == pytest.approx(other, abs=2e-3)
    assert dciodvfy(case.segmentation).clean
    assert dcentvfy([*case.sources, *case.results]).clean


@pytest.mark.parametrize("plane", PLANES)
def test_the_report_outlines_it_on_the_frame_where_it_lay(plane: str, write: Write) -> None:
    image, places = sent(plane)
    case = write(f"multi-frame report {plane}", analysed(image), [image])
    (outline, reference), = outlines(dcmread(case.report))
    assert reference.ReferencedSOPInstanceUID == image.SOPInstanceUID
    groups = image.PerFrameFunctionalGroupsSequence[int(reference.ReferencedFrameNumber) - 1]
    position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
    row, column = np.array(PLANES[plane][:3]), np.array(PLANES[plane][3:])
    # Graphic Data counts columns and rows from the outer corner of the first pixel (PS3.3 C.18.6.1.1).
    drawn = position + (outline[:, :1] - 0.5) * SPACING_MM[2] * row + (outline[:, 1:] - 0.5) * SPACING_MM[1] * column
    normal = np.cross(row, column)
    there = places[np.abs((places - position) @ normal) < 0.1]
    for axis in (row * SPACING_MM[2], column * SPACING_MM[1]):
        along = axis / float(axis @ axis)
        assert float((drawn @ along).max()) == pytest.approx(float((there @ along).max()) + 0.5, abs=0.51)
        assert float((drawn @ along).min()) == pytest.approx(float((there @ along).min()) - 0.5, abs=0.51)
    assert tid1500reader(case.report)["Measurements"]


def outlines(report: Dataset) -> list[tuple[NDArray[np.float64], Dataset]]:
    """Each SCOORD, [point, (column, row)], with the image that it is drawn on."""
    found: list[tuple[NDArray[np.float64], Dataset]] = []

    def look(item: Dataset) -> None:
        if item.get("ValueType") == "SCOORD":
            (source,) = item.ContentSequence
            points = np.array(item.GraphicData, float).reshape(-1, 2)
            found.append((points, source.ReferencedSOPSequence[0]))
        for child in item.get("ContentSequence") or ():
            look(child)

    look(report)
    return found


def test_a_frame_number_that_is_one_off_is_noticed(write: Write) -> None:
    """That the tests above can fail."""
    image, places = sent("oblique")
    asked = analysed(image)
    shifted = replace(asked, frames=(*asked.frames[1:], asked.frames[0]))
    (read,) = segimage2itkimage(write("shifted", shifted, [image]).segmentation)
    voxels = np.argwhere(SimpleITK.GetArrayFromImage(read) > 0)
    found = [read.TransformIndexToPhysicalPoint((int(x), int(y), int(z))) for z, y, x in voxels]
    assert sorted(np.round(found, 1).tolist()) != sorted(np.round(places, 1).tolist())


def test_the_image_itself_passes_the_validator_but_for_what_a_phantom_lacks(tmp_path: Path) -> None:
    image, _ = sent("axial")
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom_bytes(image))
    geometry = ("PlanePosition", "PlaneOrientation", "PixelMeasures", "NumberOfFrames", "PixelValueTransformation")
    assert not [error for error in dciodvfy(path).errors if any(word in error for word in geometry)]
