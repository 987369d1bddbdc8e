"""MONAI Deploy App SDK: its three operators that load a series, called one after the other as its application would.

``python -m benchmark.peers.monai_deploy FOLDER SLICES ROWS COLUMNS``
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.peers.worker import serve


def prepare() -> Callable[[], None]:
    folder = Path(sys.argv[1])
    shape = tuple(int(count) for count in sys.argv[2:5])
    _without_the_other_operators()
    from monai.deploy.core import Fragment
    from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
    from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
    from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator

    fragment = Fragment()
    loader: Any = DICOMDataLoaderOperator(fragment, name="loader", input_folder=folder)
    selector: Any = DICOMSeriesSelectorOperator(fragment, name="selector")
    to_volume: Any = DICOMSeriesToVolumeOperator(fragment, name="to volume")

    def work() -> None:
        studies = loader.load_data_to_studies(folder)
        image = to_volume.convert_to_image(selector.filter(None, studies))
        if image.asnumpy().shape != shape:
            raise AssertionError(f"a volume of {image.asnumpy().shape}, and not {shape}")

    return work


def _without_the_other_operators() -> None:
    """The package of the operators imports all of them, and with them MONAI and PyTorch (ten seconds, and gigabytes), which
    those that load a series do not use. Left out, in the peer's favour."""
    import monai

    name = "monai.deploy.operators"
    package = ModuleType(name)
    package.__path__ = [str(Path(folder) / "deploy" / "operators") for folder in monai.__path__]
    sys.modules[name] = package


if __name__ == "__main__":
    serve(prepare)
