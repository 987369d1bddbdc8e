"""The square picture of the summary: what of the image it shows."""

from __future__ import annotations

import numpy as np

from vigil.results.picture import CONTOUR_COLOURS, Window, square_picture

NARROW = Window(1000.0, 10.0)


def test_a_window_that_hides_the_patient_leaves_enough_of_the_image_to_see_where_it_is() -> None:
    plane = np.zeros((64, 64), np.float32)
    plane[20:26, 40:46] = 1500
    shown = np.asarray(square_picture(plane, NARROW, (1.0, 1.0), 100, []))
    assert 0 < (shown > 128).all(axis=2).mean() < 0.05


def test_what_is_outlined_is_in_the_picture_though_the_window_shows_something_else() -> None:
    plane = np.zeros((64, 64), np.float32)
    plane[2:30, 2:30] = 1500
    mask = np.zeros((64, 64), np.bool_)
    mask[56:62, 56:62] = True
    shown = np.asarray(square_picture(plane, NARROW, (1.0, 1.0), 200, [(1, mask)])).astype(int)
    assert (np.abs(shown - CONTOUR_COLOURS[0]).max(axis=2) < 40).sum() > 20
