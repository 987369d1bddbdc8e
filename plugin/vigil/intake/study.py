"""What a study holds now, as read from Orthanc: our own objects left out, every other one read or named unreadable."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.gateway import Gateway, InstanceRecord
from vigil.domain.identity import digest
from vigil.intake.errors import UnreadableInstance
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.identity import differ

CACHED_HEADERS = 20_000
"""About 2 kB each: some sixty large CT studies."""


@dataclass(frozen=True)
class StudyContent:
    """A study as it stands at one moment, without our own objects.

    ``headers`` are sorted by SOP Instance UID, ``unreadable`` by Orthanc id: the order of arrival plays no part.
    ``other_patients``: another Orthanc study, so another patient id, bears this StudyInstanceUID and shares no image with
    it. (Where they share images, the patient id was corrected and the study sent again.)
    ``content_sha256``: of all this; unchanged content needs no second look. ``series_orthanc_ids``: of what others sent.
    """

    orthanc_study_id: str
    study_instance_uid: str
    headers: tuple[ImageHeader, ...]
    unreadable: tuple[tuple[str, Reason], ...] = ()
    other_patients: bool = False
    content_sha256: str = ""
    series_orthanc_ids: frozenset[str] = frozenset()

    @property
    def identity_conflict(self) -> Reason | None:
        """Why this study cannot be said to be one patient's; None where it can."""
        if self.other_patients:
            return Reason(
                Category.IDENTITY_CONFLICT,
                "two patient ids stand under one Study Instance UID, with different images: correct the patient of one",
            )
        # Every pair of the few that differ: a header that leaves a part out agrees with both of two patients.
        identities = sorted({header.identity for header in self.headers})
        if any(differ(one, other) for index, one in enumerate(identities) for other in identities[index + 1:]):
            return Reason(
                Category.IDENTITY_CONFLICT,
                "images of this study name different patients (name, birth date, sex or issuer of the patient id differ): "
                "find out which images belong to whom",
            )
        return None


class HeaderCache:
    """Headers that were read, by Orthanc id, the least recently used forgotten first.

    Where Orthanc has OverwriteInstances, other bytes can come to stand under an id, so a header counts only for the file that
    it was read from: Orthanc names each file anew.
    """

    def __init__(self, capacity: int = CACHED_HEADERS) -> None:
        self._capacity = capacity
        self._headers: OrderedDict[str, tuple[str, ImageHeader]] = OrderedDict()
        self._lock = Lock()

    def of_file(self, record: InstanceRecord) -> ImageHeader | None:
        """The header of this very file; None where it was not read, or forgotten."""
        with self._lock:
            known = self._headers.get(record.orthanc_id)
            if known is None or not record.file_uuid or known[0] != record.file_uuid:
                return None
            self._headers.move_to_end(record.orthanc_id)
            return known[1]

    def of_content(self, orthanc_id: str, content_sha256: str) -> ImageHeader | None:
        """The header of an image that was chosen by its content; None where another one, or none, is known."""
        with self._lock:
            known = self._headers.get(orthanc_id)
            return known[1] if known is not None and known[1].content_sha256 == content_sha256 else None

    def put(self, record: InstanceRecord, header: ImageHeader) -> None:
        """``record``: as Orthanc listed it *before* the file was fetched. The other way round, a file that is overwritten in
        between would lend its name to the header of its predecessor."""
        with self._lock:
            self._headers[record.orthanc_id] = (record.file_uuid, header)
            self._headers.move_to_end(record.orthanc_id)
            while len(self._headers) > self._capacity:
                self._headers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._headers)


class StudyReader:
    """Reads studies through the gateway. ``own``: of these SOP Instance UIDs, those of objects that Vigil made (the
    ledger knows them, also when a PACS sends them back). ``cache``: shared with whoever reads images as they arrive."""

    def __init__(
        self, gateway: Gateway, own: Callable[[Iterable[str]], set[str]], cache: HeaderCache | None = None
    ) -> None:
        self._gateway = gateway
        self._own = own
        self._cache = HeaderCache() if cache is None else cache

    def read(self, orthanc_study_id: str) -> StudyContent | None:
        """The study's content; None where it is gone.

        Raises: GatewayError where Orthanc fails.
        """
        study = self._gateway.study(orthanc_study_id)
        if study is None:
            return None
        foreign = self._foreign(orthanc_study_id)
        headers: list[ImageHeader] = []
        unreadable: list[tuple[str, Reason]] = []
        hashes: list[str] = []
        for record in sorted(foreign, key=lambda item: item.orthanc_id):
            known = self._cache.of_file(record)
            if known is not None:
                headers.append(known)
                hashes.append(f"{known.sop_instance_uid} {known.content_sha256}")
                continue
            dicom = self._gateway.dicom(record.orthanc_id)
            if dicom is None:
                if self._gateway.study_of(record.orthanc_id) is None:  # deleted since it was listed
                    continue
                # Orthanc lists it and has lost its file: an image is missing, and nothing else tells (law 2).
                unreadable.append((record.orthanc_id, Reason(Category.UNREADABLE_INSTANCE, "Orthanc's storage lacks its file")))
                hashes.append(f"lost {record.sop_instance_uid}")
                continue
            try:
                header = read_header(record.orthanc_id, dicom)
            except UnreadableInstance as error:
                unreadable.append((record.orthanc_id, Reason(error.category, error.message)))
                hashes.append(f"unreadable {record.sop_instance_uid} {sha256(dicom).hexdigest()}")
                continue
            self._cache.put(record, header)
            headers.append(header)
            hashes.append(f"{header.sop_instance_uid} {header.content_sha256}")
        if not headers and not unreadable and self._gateway.study(orthanc_study_id) is None:
            return None
        others = self._other_patients(orthanc_study_id, study.study_instance_uid, foreign)
        return StudyContent(
            orthanc_study_id=orthanc_study_id,
            study_instance_uid=study.study_instance_uid,
            headers=tuple(sorted(headers, key=lambda header: (header.sop_instance_uid, header.orthanc_id))),
            unreadable=tuple(unreadable),
            other_patients=others,
            content_sha256=digest("content", str(others), *sorted(hashes)),
            series_orthanc_ids=frozenset(record.series_orthanc_id for record in foreign),
        )

    def _foreign(self, orthanc_study_id: str) -> list[InstanceRecord]:
        records = self._gateway.instances(orthanc_study_id)
        own = self._own([record.sop_instance_uid for record in records])
        return [record for record in records if record.sop_instance_uid not in own]

    def _other_patients(
        self, orthanc_study_id: str, study_instance_uid: str, foreign: list[InstanceRecord]
    ) -> bool:
        mine = {record.sop_instance_uid for record in foreign}
        for other in self._gateway.studies_with_uid(study_instance_uid):
            if other == orthanc_study_id:
                continue
            theirs = {record.sop_instance_uid for record in self._foreign(other)}
            if mine and theirs and mine.isdisjoint(theirs):
                return True
        return False
