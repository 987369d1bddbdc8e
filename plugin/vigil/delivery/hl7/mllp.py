"""The minimal lower layer protocol: one message out, its own acknowledgement back, within a time limit."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from dataclasses import replace
from types import TracebackType

from vigil.delivery.destination import Address, Connection, RisDestination
from vigil.delivery.errors import DeliveryError, DestinationSilent, ProtocolError
from vigil.delivery.hl7.acknowledgement import Acknowledgement, accept, parse_acknowledgement
from vigil.delivery.hl7.line import LOOK_S, ConnectionLost, Line
from vigil.delivery.tls import closed_unheard
from vigil.domain.errors import Stopping

FAIL_BACK_S = 300.0
"""After this time the first address of a pair is tried first again."""


class MllpClient:
    """Sends to one destination, one message at a time (others wait for their turn).

    A persistent connection that the receiver closed in the meantime is opened again, and the same bytes are sent once
    more: the control id (MSH-10) tells the receiver that it is the same message. Where the destination has a second
    address, that one is tried when the first cannot be reached, and is tried first at the next attempt when the first took
    a message and did not answer; :attr:`Acknowledgement.receiver` says which one answered.
    """

    def __init__(self, destination: RisDestination) -> None:
        self._destination = destination
        self._turn = threading.Lock()
        self._line: Line | None = None
        self._first_rests_until = 0.0

    def __enter__(self) -> MllpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        with self._turn:
            self._disconnect()

    def send(self, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        """Send one message and wait for the acknowledgement whose MSA-2 is ``control_id``.

        In enhanced mode (MSH-15 ``AL``) the answer is the receiver's CA, CE or CR; where MSH-16 is ``AL`` too, the
        application's AA, AE or AR if it comes in time, and else the CA: the receiver has the message in safe storage.

        Raises
        ------
        DestinationUnreachable
            No connection: nothing was sent.
        DestinationSilent
            Sent, and no acknowledgement of it in time: the receiver may have it. Send the same bytes again.
        DestinationRefused
            TLS failed.
        DestinationInvalid
            The files of TLS cannot be used.
        ProtocolError
            What came back is not HL7.
        Stopping
            ``stop`` was set while waiting.
        """
        self._take_turn(stop)
        try:
            return self._exchange(message, control_id, stop)
        except BaseException as error:
            if isinstance(error, DeliveryError) and self._line is not None:
                self._avoid(self._line.address)
            self._disconnect()  # a late acknowledgement must not meet the next message
            raise
        finally:
            if self._destination.connection is Connection.PER_MESSAGE:
                self._disconnect()
            self._turn.release()

    def _take_turn(self, stop: threading.Event) -> None:
        while not self._turn.acquire(timeout=LOOK_S):
            if stop.is_set():
                raise self._stopped()

    def _exchange(self, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        if stop.is_set():
            raise self._stopped()
        if (kept := self._kept()) is not None:
            with contextlib.suppress(ConnectionLost):
                return self._attempt(kept, message, control_id, stop)
            self._disconnect()
        line = self._line = self._open()
        try:
            return self._attempt(line, message, control_id, stop)
        except ConnectionLost as lost:
            hint = "" if self._destination.tls is None or line.heard else f". {closed_unheard(self._destination.tls)}"
            raise DestinationSilent(
                f"{line.label} {lost.detail} before it acknowledged the message; it may have received it. "
                f"It is sent again with the same control id{hint}"
            ) from lost

    def _attempt(self, line: Line, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        deadline = time.monotonic() + self._destination.timeout_s
        line.write(message, deadline, stop)
        wants_application = self._destination.profile.application_acknowledgement == "AL"
        others, unreadable = 0, None
        committed: Acknowledgement | None = None
        try:
            for block in line.blocks(deadline, stop):
                try:
                    answer = parse_acknowledgement(block)
                except ProtocolError as error:
                    unreadable = error
                    continue
                if answer.control_id != control_id:
                    others += 1
                    continue
                if answer.asks_for_accept:
                    line.write(accept(answer, dt.datetime.now(dt.UTC)), deadline, stop)
                answer = replace(answer, receiver=str(line.address))
                if not (wants_application and answer.code == "CA"):
                    return answer
                committed = answer
        except (ConnectionLost, DeliveryError, Stopping):
            if committed is None:
                raise
            self._disconnect()
        if committed is not None:
            return committed
        raise self._no_answer(line, others, unreadable)

    def _no_answer(self, line: Line, others: int, unreadable: ProtocolError | None) -> DeliveryError:
        label, seconds = line.label, f"{self._destination.timeout_s:g} s"
        if unreadable is not None:
            return ProtocolError(f"{label}: {unreadable.message}; no acknowledgement of this message within {seconds}")
        if others:
            return DestinationSilent(
                f"{label} acknowledged {others} other message(s) but not this one within {seconds}: check that it "
                "returns MSH-10 in MSA-2"
            )
        return DestinationSilent(
            f"{label} took the message and did not acknowledge it within {seconds}: check that its HL7 interface runs "
            "and answers"
        )

    def _kept(self) -> Line | None:
        """The connection of the last message, where it is there and the first address need not be tried again."""
        if self._line is None:
            return None
        if self._line.address == self._order()[0] and self._line.still_open():
            return self._line
        self._disconnect()
        return None

    def _open(self) -> Line:
        """A connection to the first address that gives one."""
        failures: list[DeliveryError] = []
        for address in self._order():
            try:
                return Line(self._destination, address)
            except DeliveryError as error:
                self._avoid(address)
                failures.append(error)
        last = failures[-1]
        raise last if len(failures) == 1 else type(last)("; ".join(failure.message for failure in failures))

    def _order(self) -> tuple[Address, ...]:
        addresses = self._destination.addresses
        return addresses if time.monotonic() >= self._first_rests_until else addresses[::-1]

    def _avoid(self, address: Address) -> None:
        """The other address of a pair comes first at the next attempt."""
        first = address == self._destination.addresses[0]
        self._first_rests_until = time.monotonic() + FAIL_BACK_S if first else 0.0

    def _stopped(self) -> Stopping:
        return Stopping(f"{self._destination.label_at(self._destination.addresses[0])}: stopped before sending")

    def _disconnect(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
