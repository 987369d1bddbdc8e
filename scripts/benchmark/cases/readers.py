"""From the files on disk (in the page cache) to a volume in memory: the product beside other readers and the least there is."""

# SimpleITK has no type annotations; MONAI is not part of the project, and not installed by it.
# mypy: disable-error-code="no-untyped-call,import-not-found,import-untyped"

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom import dcmread

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.ours import Loader
from benchmark.statistics import ratio
from benchmark.stopwatch import Laps, now
from vigil.imaging.arrived import read_arrived
from vigil.imaging.load import load_stack
from vigil.intake.stack import build_stack

FLOOR, PEERS, MONAI = "floor: read and cast", ("SimpleITK series reader", "highdicom volume"), "MONAI's PydicomReader"
VIGIL, WHOLE_WAY = "Vigil, last image in", "Vigil, all of it"
MOST_OF_THE_FLOOR, AHEAD = 3.0, 5.0
NOTE = (
    "300 files in the page cache to a float32 volume in HU, sorted by position, in turns, in one process. The floor reads "
    "every file and casts its pixels, and knows nothing of DICOM. \"Vigil, last image in\" is what is left to do when a study "
    "is whole: in Orthanc its images were read and decoded as they arrived, while the others begin then. \"Vigil, all of it\" "
    "reads the files twice over, as for a study whose images were not kept: headers, hashes, scope, completeness, geometry, "
    "then the pixels."
)


def uncompressed(case: Case, effort: Effort) -> Findings:
    study = studies.large_ct()
    paths = write(effort.folder / "images", study.files)
    loader = Loader(study.model_id)
    arrived = Arrived(study.files)
    readers: dict[str, Callable[[], NDArray[np.generic]]] = {
        FLOOR: lambda: _floor(paths, study.shape),
        VIGIL: arrived.volume,
        WHOLE_WAY: lambda: _vigil(loader, study.study_uid, paths),
        "pydicom loop": lambda: _pydicom(paths, study.shape),
        PEERS[0]: lambda: _simpleitk(paths),
        PEERS[1]: lambda: _highdicom(paths),
    }
    if (monai := _monai(paths)) is not None:
        readers[MONAI] = monai
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(effort.repeats + 1):
        for name, read in readers.items():
            begun = now()
            shape = read().shape
            if turn:  # the first is for warmth
                spent[name].append((now() - begun).cpu_s)
            if shape != study.shape:
                raise AssertionError(f"{name} made a volume of {shape}")
    ours = spent[VIGIL]
    figures = [Figure.of(name, "CPU s", values) for name, values in spent.items()]
    figures += [Figure(f"{name} / {VIGIL}", "×", ratio(values, ours)) for name, values in spent.items() if values is not ours]
    figures.append(Figure(f"{WHOLE_WAY} / floor", "×", ratio(spent[WHOLE_WAY], spent[FLOOR])))
    targets = [Target(f"{VIGIL} / floor", MOST_OF_THE_FLOOR, True, "×", ratio(ours, spent[FLOOR]))]
    targets += [Target(f"{name} / {VIGIL}", AHEAD, False, "×", ratio(spent[name], ours))
                for name in (*PEERS, MONAI) if name in spent]
    note = NOTE if MONAI in spent else f"{NOTE} {MONAI} needs PyTorch, which is not here."
    return Findings(case.name, case.title, note, figures=tuple(figures), targets=tuple(targets))


def write(folder: Path, files: tuple[bytes, ...]) -> list[Path]:
    """The files of a study in a folder of their own."""
    folder.mkdir(parents=True)
    paths = [folder / f"{index:04d}.dcm" for index in range(len(files))]
    for path, dicom in zip(paths, files, strict=True):
        path.write_bytes(dicom)
    return paths


class Arrived:
    """A study of which every image was read as it arrived."""

    def __init__(self, files: tuple[bytes, ...]) -> None:
        read = [read_arrived(f"{index:05d}", dicom, lambda _: True) for index, dicom in enumerate(files)]
        self._held = {header.orthanc_id: image for header, image in read}
        self._stack = build_stack([header for header, _ in read], 0.05)

    def volume(self) -> NDArray[np.float32]:
        loaded = load_stack(self._stack, lambda _: None, held=lambda header: self._held[header.orthanc_id])
        return loaded.volume.voxels


def _floor(paths: list[Path], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    voxels = np.empty(shape, np.float32)
    pixels = 2 * shape[1] * shape[2]
    for index, path in enumerate(paths):
        voxels[index] = np.frombuffer(path.read_bytes()[-pixels:], "<u2").reshape(shape[1:])
    return voxels


def _vigil(loader: Loader, study_uid: str, paths: list[Path]) -> NDArray[np.float32]:
    return loader.load(study_uid, [path.read_bytes() for path in paths], Laps()).volume.voxels


def _pydicom(paths: list[Path], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    images = sorted((dcmread(path) for path in paths), key=lambda image: float(image.ImagePositionPatient[2]))
    voxels = np.empty(shape, np.float32)
    for index, image in enumerate(images):
        voxels[index] = image.pixel_array.astype(np.float32) * float(image.RescaleSlope) + float(image.RescaleIntercept)
    return voxels


def _simpleitk(paths: list[Path]) -> NDArray[np.float32]:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(paths[0].parent)))
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    voxels: NDArray[np.float32] = SimpleITK.GetArrayFromImage(reader.Execute())
    return voxels


def _monai(paths: list[Path]) -> Callable[[], NDArray[np.generic]] | None:
    """As MONAI's LoadImage does it, which makes tensors of PyTorch of it besides; None where it is not installed."""
    try:
        from monai.data import PydicomReader
    except ImportError:
        return None

    def read() -> NDArray[np.generic]:
        reader = PydicomReader()
        voxels, _ = reader.get_data(reader.read(str(paths[0].parent)))
        array: NDArray[np.generic] = np.asarray(voxels, np.float32).T  # it gives columns, rows, slices
        return array

    return read


def _highdicom(paths: list[Path]) -> NDArray[np.generic]:
    images = [dcmread(BytesIO(path.read_bytes())) for path in paths]
    array: NDArray[np.generic] = hd.get_volume_from_series(images, dtype=np.float32).array
    return array
