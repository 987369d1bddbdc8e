import pytest
from pydicom import dcmread
from viewer.conftest import Look
pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]
@pytest.mark.parametrize("code,scheme,meaning",[("126000","DCM","Imaging Measurement Report"),("126001","DCM","Oncology Measurement Report")])
def test_titles(code,scheme,meaning,phantom_study,open_study):
    folder=phantom_study("negative")
    p=folder/"report-0.dcm"; ds=dcmread(p); t=ds.ConceptNameCodeSequence[0]
    t.CodeValue,t.CodingSchemeDesignator,t.CodeMeaning=code,scheme,meaning
    ds.save_as(p)
    try:
        seen=open_study(folder,[Look("report","Qualitative")])
        print("TITLE",code,seen["faults"][:3],seen["items"][0]["text"][:600])
    except AssertionError as e: print("TITLE",code,"driver failed",str(e)[:300])
