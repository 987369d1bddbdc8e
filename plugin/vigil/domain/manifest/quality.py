"""What an input must be besides what it shows: values that can be true, a field that holds the body, and what its header says.

All is refused unless the author accepts it: nobody knows what a network makes of images that it was never shown.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydicom.datadict import tag_for_keyword

from vigil.domain.manifest.strict import Strict

RefuseOrAccept = Literal["refuse", "accept"]


def _known_keyword(keyword: str) -> str:
    if not keyword or tag_for_keyword(keyword) is None:
        raise ValueError(f"'{keyword[:64]}' is no keyword of DICOM (PS3.6); write it as there, such as KVP or EchoTime")
    return keyword


class Quality(Strict):
    values: RefuseOrAccept = "refuse"
    """What to do with CT whose values cannot be Hounsfield units: no air where the field of view should show some, hardly
    anything near water, or values below air."""
    saturation: RefuseOrAccept = "refuse"
    """What to do with a volume of which a large part has the highest value."""
    truncation: RefuseOrAccept = "refuse"
    """What to do with axial CT where the edge of the field of view cuts the body. Accept it for a model of a part of the body
    that is often shown alone, such as the heart or the spine."""
    required_attributes: tuple[Annotated[str, AfterValidator(_known_keyword)], ...] = Field(default=(), max_length=50)
    """Keywords of attributes that every image must have with a value, for example KVP or EchoTime."""
