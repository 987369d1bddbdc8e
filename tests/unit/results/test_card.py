"""The summary image: what it shows, and that nothing runs out of it however much there is to say."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from result_cases import CASES, TRIAGE_ONLY, request, study

from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Criterion, Measurement
from vigil.results.card import LEFT, SIDE, draw_card
from vigil.results.key_slices import MOST_CAPTURED
from vigil.results.legend import MOST_ENTRIES, legend
from vigil.results.lettering import Hand, drawable, legible, wrapped
from vigil.results.marks import BACKGROUND, KIND_COLOURS, MUTED, TEXT, YELLOW
from vigil.results.picture import CONTOUR_COLOURS, edge_letters
from vigil.results.request import ResultRequest
from vigil.results.wording import KIND_WORDS, apart, criterion_words, inputs_words, plain_value, score

Kinds = dict[AnswerKind, ResultRequest]


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance (WCAG 2)."""
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_every_colour_of_text_has_a_contrast_of_seven_to_one() -> None:
    for colour in (TEXT, MUTED, YELLOW, *KIND_COLOURS.values()):
        assert (luminance(colour) + 0.05) / (luminance(BACKGROUND) + 0.05) >= 7


def test_six_kinds_are_six_pictures(each_kind: Kinds) -> None:
    pictures = {draw_card(asked).tobytes() for asked in each_kind.values()}
    assert len(pictures) == len(AnswerKind) == 6


def test_only_a_positive_and_a_measurement_bear_a_contour(each_kind: Kinds) -> None:
    for kind in (AnswerKind.POSITIVE, AnswerKind.NEGATIVE, AnswerKind.INDETERMINATE, AnswerKind.MEASURED):
        asked = each_kind[kind]
        without = replace(asked, masks={})
        changed = (draw_card(asked) != draw_card(without)).any()
        assert changed == (kind in (AnswerKind.POSITIVE, AnswerKind.MEASURED))


def test_a_measurement_says_what_it_is_and_speaks_of_no_threshold(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.MEASURED]
    assert KIND_WORDS[AnswerKind.MEASURED] == "MEASURED"
    label, value = plain_value(asked) or ("", "")
    assert label == "Brain volume"
    assert value.endswith(" mL")
    assert score(asked) is None
    assert "no threshold" in criterion_words(asked)
    assert plain_value(replace(asked, manifest=each_kind[AnswerKind.POSITIVE].manifest)) is not None
    assert plain_value(each_kind[AnswerKind.POSITIVE]) is None


def margins(card: np.ndarray) -> np.ndarray:
    frame = np.ones((SIDE, SIDE), bool)
    frame[60 : SIDE - 60, LEFT - 4 : SIDE - LEFT + 4] = False
    return np.asarray(card[frame])


@pytest.mark.parametrize("kind", list(AnswerKind))
def test_nothing_runs_into_the_margins_however_much_there_is_to_say(each_kind: Kinds, kind: AnswerKind) -> None:
    asked = each_kind[kind]
    long = "This sentence has been written by an author who could not come to an end. " * 8
    reason = asked.answer.reason and replace(asked.answer.reason, text=long + "x" * 90)
    answer = replace(asked.answer, sentence=long, notes=(long, long), reason=reason)
    manifest = asked.manifest.model_copy(update={"name": "W" * 40, "limitations": (long, long)})
    device = replace(asked.device, installation_name="Hospital " * 12, runtime="Runtime " * 12)
    card = draw_card(replace(asked, answer=answer, manifest=manifest, device=device))
    assert (margins(card) == BACKGROUND).all()
    assert (margins(draw_card(asked)) == BACKGROUND).all()


def test_a_revision_is_said_on_the_card() -> None:
    files, hu = study(slices=8)
    first = request(AnswerKind.NEGATIVE, files=files, hu=hu)
    from vigil.results.request import PredecessorReport

    second = replace(first, predecessor=PredecessorReport("1", "2", "3", "4"))
    card = draw_card(second)
    yellow = (card == YELLOW).all(axis=2)
    assert yellow[700:].any()
    assert not (draw_card(first) == YELLOW).all(axis=2)[700:].any()


def test_the_input_is_told_without_a_description_that_the_font_cannot_draw(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.NEGATIVE]
    assert inputs_words(asked) == "CT series 2 'HEAD 1.5 H30s', 24 images, study of 2025-03-14"
    asked.sources[0].SeriesDescription = "頭部"
    assert inputs_words(asked) == "CT series 2, 24 images, study of 2025-03-14"
    asked.sources[0].SeriesDescription = "HEAD 1.5 H30s"


@pytest.mark.parametrize("further", [1, 7])
def test_every_series_of_several_inputs_is_told_and_nothing_runs_into_the_margins(each_kind: Kinds, further: int) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    series = []
    for number in range(further):
        images = deepcopy(list(asked.sources[:12]))
        for image in images:
            image.SeriesNumber, image.SeriesDescription = 10 + number, f"t2_tirm_tra_dark-fluid_{'5mm_' * number}"
        series.append(images)
    several = replace(asked, further_sources=series)
    told = inputs_words(several)
    assert told.startswith("CT series 2 'HEAD 1.5 H30s', 24 images; CT series 10 't2_tirm_tra_dark-fluid_', 12 images")
    assert told.count("12 images") == further
    assert told.endswith(", study of 2025-03-14")
    assert (margins(draw_card(several)) == BACKGROUND).all()


def test_a_value_just_below_its_threshold_is_told_with_the_digits_it_takes() -> None:
    def told(value: float) -> tuple[str, str]:
        measured = Measurement(codes.HYPERDENSE_VOLUME, value, codes.MILLILITRE)
        return apart(measured, Criterion("default", codes.HYPERDENSE_VOLUME, 5.0, codes.MILLILITRE))

    assert told(4.98) == ("4.98 mL", "5.00 mL")
    assert told(5.0) == ("5.0 mL", "5.0 mL")
    assert told(0.9) == ("0.9 mL", "5.0 mL")


def test_edges_are_named_by_the_patient_s_directions() -> None:
    def named(**attributes: object) -> tuple[str, str, str, str]:
        ds = Dataset()
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        return edge_letters(ds)

    assert named(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]) == ("R", "L", "A", "P")
    assert named(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]) == ("L", "R", "A", "P")
    assert named(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]) == ("A", "P", "H", "F")
    assert named(PatientOrientation=["L", "F"]) == ("R", "L", "H", "F")
    assert named(PatientOrientation=["P", "FL"]) == ("A", "P", "HR", "FL")
    assert named() == named(PatientOrientation="") == ("", "", "", "")


def test_contours_of_several_findings_differ() -> None:
    assert len(set(CONTOUR_COLOURS)) == len(CONTOUR_COLOURS) == 3


@given(st.text(max_size=60), st.integers(20, 300), st.integers(1, 4))
def test_wrapped_lines_fit_and_no_word_is_lost_before_the_last(text: str, width: int, most: int) -> None:
    hand = Hand(20, TEXT)
    lines = wrapped(drawable(text), width, hand.width, most)
    assert len(lines) <= most
    assert all(hand.width(line) <= width or len(line) <= 2 for line in lines)
    everything = "".join(wrapped(drawable(text), width, hand.width))
    assert everything.replace(" ", "") == "".join(drawable(text).split())


def test_what_the_font_cannot_draw_is_known() -> None:
    assert legible("Schädel 1,5 mm – nativ")
    assert drawable("Schädel ≥ 1") == "Schadel >= 1"
    assert not legible("頭部単純")
    assert legible("really?")


def test_the_legend_says_which_colour_is_which_finding_how_much_and_where() -> None:
    asked = CASES["two findings"]().asked
    first, second = legend(asked)
    assert first.text.startswith("1  Hyperdense intracranial region, ") and first.text.endswith(", image 15")
    assert second.text.startswith("2  Hyperdense intracranial region, ") and second.text.endswith(", image 18")
    assert (first.colour, second.colour) == CONTOUR_COLOURS[:2]
    card = draw_card(asked)
    for colour in CONTOUR_COLOURS[:2]:
        assert (card == colour).all(axis=2)[500:, LEFT : LEFT + 40].sum() > 100
    assert not (draw_card(CASES["negative"]().asked) == CONTOUR_COLOURS[1]).all(axis=2).any()


def test_a_legend_of_many_findings_ends_with_their_number_and_of_few_images_with_what_is_left_out() -> None:
    asked = CASES["two findings"]().asked
    (finding, _) = asked.answer.findings
    many = legend(replace(asked, answer=replace(asked.answer, findings=(finding,) * 7)))
    assert len(many) == MOST_ENTRIES + 1
    assert many[-1].text == "and 3 more findings, in the report"
    tall = np.zeros((MOST_CAPTURED + 9, 16, 16), bool)
    tall[:, 8, 8] = True
    long = replace(
        asked, sources=[asked.sources[0]] * len(tall), voxels=np.zeros(tall.shape, np.float32), masks={"hyperdense": tall},
        answer=replace(asked.answer, findings=(replace(finding, key_slices=(30,)),)),
    )  # fmt: skip
    assert [entry.text for entry in legend(long)][1:] == ["9 more images with a finding are not among the key slices."]


def test_a_legend_tells_neither_value_nor_place_that_the_clearance_keeps_back() -> None:
    files, hu = study(slices=8)
    assert legend(request(files=files, hu=hu, outputs=TRIAGE_ONLY)) == ()


@pytest.mark.parametrize("name", ["two findings", "radiograph 2500", "mammogram", "multi-frame", "heat map"])
def test_nothing_runs_into_the_margins_whatever_the_source(name: str) -> None:
    assert (margins(draw_card(CASES[name]().asked)) == BACKGROUND).all()
