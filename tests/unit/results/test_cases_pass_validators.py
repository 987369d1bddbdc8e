"""Every case of ``result_cases`` with every object that can be made of it, before validators that the project did not
write. What they say of the reports stands in ``test_objects_pass_validators``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from result_cases import CASES
from result_files import Write

from validators.dicom3tools import dcentvfy, dciodvfy
from vigil.results.objects import Role
from vigil.results.options import ResultOptions


@pytest.mark.parametrize("name", CASES)
def test_each_object_keeps_to_its_definition_and_all_of_them_to_one_study(name: str, write: Write) -> None:
    case = CASES[name]()
    written = write(
        name.replace(" ", "-"), replace(case.asked, options=ResultOptions(multiframe=True, full_frame=True)), case.files
    )
    found = {
        path.name: verdict.errors
        for path in written.results
        if not path.name.startswith((Role.REPORT, Role.KEY_SLICE)) or path.name == "key-slice-0.dcm"
        if not (verdict := dciodvfy(path)).clean
    }
    assert not found
    assert not dcentvfy([*written.sources, *written.results]).errors
