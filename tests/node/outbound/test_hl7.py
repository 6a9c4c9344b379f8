"""An ORU^R01 reaches its receiver whole, says what the report says, and only AA makes it sent."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7apy.parser import parse_message
from pydicom import dcmread

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.outbound.delivery import DeliveryError, FileStatus
from groundglass.node.outbound.hl7 import Hl7Destination, Hl7Settings
from groundglass.node.outbound.oru import Parties, control_id, escape, oru_message
from groundglass.node.outbound.study_report import StudyReport, study_reports
from node.outbound.conftest import ENDS, PATIENT, SECRETS, files_of
from node.outbound.mllp_receivers import acknowledged, receiving, saying

EVERY_END = [*ENDS, "refused"]
NOBODY = 9  # discard
NOW = datetime(2026, 11, 30, 12, 0, 1, tzinfo=UTC)
PARTIES = Parties("GROUNDGLASS", "", "RIS", "HOSPITAL", "P", "ISSUER")


def destination(port: int, **how: Any) -> Hl7Destination:
    return Hl7Destination(Hl7Settings("ris", "127.0.0.1", port, **how))


def message_of(report: StudyReport) -> hl7.Message:
    """Read by python-hl7, which had no part in writing it."""
    return hl7.parse(oru_message(report, PARTIES, NOW))


def report_of(folder: Path) -> StudyReport:
    (report,) = study_reports(files_of(folder))
    return report


def observations(message: hl7.Message) -> list[tuple[str, str, str]]:
    """Code, sub-ID and value of every OBX, its escape sequences undone."""
    return [
        (str(obx[3][0][0]), str(obx[4]), message.unescape(str(obx[5])))
        for obx in message.segments("OBX")
    ]


@pytest.mark.parametrize("end", EVERY_END)
def test_a_real_receiver_gets_every_kind_of_report(reports: dict[str, Path], end: str) -> None:
    files = files_of(reports[end])
    with receiving() as receiver:
        sending = destination(receiver.port)
        assert sending.check().works
        receipt = sending.deliver(files)
        assert {(one.status, one.detail) for one in receipt.files} == {(FileStatus.ACCEPTED, "AA")}
        assert sending.confirm(receipt).confirmed == set(files)
    (message,) = receiver.messages
    assert str(message.segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert str(message.segment("MSH")[12]) == "2.5.1"
    assert str(message.segment("MSH")[18]) == "UNICODE UTF-8"
    assert message.unescape(str(message.segment("PID")[3][0][0])) == PATIENT["PatientID"]
    assert str(message.segment("OBR")[25]) == "P"


@pytest.mark.parametrize("end", EVERY_END)
def test_it_is_a_message_of_its_version(reports: dict[str, Path], end: str) -> None:
    text = oru_message(report_of(reports[end]), PARTIES, NOW)
    assert parse_message(text, validation_level=1).validate()
    assert len(text.encode()) < 32768


def test_the_patient_is_the_images_own(reports: dict[str, Path]) -> None:
    message = message_of(report_of(reports["kind told"]))
    pid = message.segment("PID")
    family, given, middle, suffix, prefix = [message.unescape(str(one)) for one in pid[5][0]]
    assert (family, given, middle) == ("Müller|&", "Jürg~\\F\\", "")
    assert (prefix, suffix) == ("Dr.", "PhD"), "XPN has them the other way round than PN"
    assert message.unescape(str(pid[3][0][3])) == PATIENT["IssuerOfPatientID"]
    assert str(pid[7]) == PATIENT["PatientBirthDate"]
    assert str(pid[8]) == PATIENT["PatientSex"]
    assert str(message.segment("OBR")[18]) == PATIENT["AccessionNumber"]
    assert str(message.segment("OBR")[7]) == PATIENT["StudyDate"]


@pytest.mark.parametrize("end", EVERY_END)
def test_the_words_are_the_reports_and_research_use_comes_first(
    reports: dict[str, Path], end: str
) -> None:
    report = report_of(reports[end])
    message = message_of(report)
    lines = [value for code, _, value in observations(message) if code == "19005-8"]
    assert lines[0] == RESEARCH_USE_ONLY
    assert " ".join(lines) == report.text
    assert oru_message(report, PARTIES, NOW).count(RESEARCH_USE_ONLY) == 1
    assert {str(obx[11]) for obx in message.segments("OBX")} <= {"P", "X"}


def test_answers_and_numbers_stand_in_groups(reports: dict[str, Path]) -> None:
    message = message_of(report_of(reports["kind not told"]))
    seen = observations(message)
    assert ("verdict", "1", "findings^Findings as in pneumonia^99GGLASS") in seen
    assert ("share-of-slices", "1", "60") in seen
    assert ("kind", "2", "kind-not-told^Kind not told^99GGLASS") in seen
    (group,) = [sub for code, sub, value in seen if code == "121071" and "112120" in value]
    assert {code for code, sub, _ in seen if sub == group} >= {"118565006", "share-of-lung"}
    assert [str(obx[1]) for obx in message.segments("OBX")] == [
        str(number) for number in range(1, len(seen) + 1)
    ]


@pytest.mark.parametrize("end", ["for a reader", "refused"])
def test_without_a_verdict_it_cannot_be_had(reports: dict[str, Path], end: str) -> None:
    message = message_of(report_of(reports[end]))
    (verdict,) = [obx for obx in message.segments("OBX") if str(obx[3][0][0]) == "verdict"]
    assert (str(verdict[5]), str(verdict[11])) == ("", "X")


def test_our_series_are_named_by_their_uids(reports: dict[str, Path]) -> None:
    seen = observations(message_of(report_of(reports["kind told"])))
    written = {
        str(dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
        for path in (reports["kind told"] / "dicom").iterdir()
    }
    assert {value for code, _, value in seen if code == "112002"} == written


def test_a_revision_says_which_it_is_and_what_it_replaces(reports: dict[str, Path]) -> None:
    first = report_of(reports["kind told"])
    second = replace(first, revision=2, replaces="1.2.3", at=NOW)
    message = message_of(second)
    seen = observations(message)
    assert ("revision", "1", "2") in seen
    assert ("replaces", "1", "1.2.3") in seen
    assert str(message.segment("OBR")[22]) == "20261130120001+0000"
    assert str(message.segment("OBX")[14]) == "20261130120001+0000"


def test_the_same_report_has_the_same_number_and_another_another(reports: dict[str, Path]) -> None:
    numbers = {control_id(report_of(reports[end])) for end in EVERY_END}
    assert len(numbers) == len(EVERY_END)
    assert control_id(report_of(reports["refused"])) in numbers
    assert all(len(one) == 20 for one in numbers)


@pytest.mark.parametrize(
    "text",
    [r"a|b^c&d~e\f", r"\F\ ", "\\", "\\\\E\\", "line\rOBX|9|TX|forged", "tab\tand\nline",
     "王小东", "\x0b\x1c\r", "", "ends with \\"],
)  # fmt: skip
def test_no_text_can_be_taken_for_structure(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set("|^&~\r\n\x0b\x1c")
    parser = hl7.parse("MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5.1\r")
    plain = "".join(" " if one.isspace() else one for one in text)
    plain = "".join(one for one in plain if one.isprintable())
    assert parser.unescape(escaped) == plain


def test_a_study_without_a_patient_id_is_not_sent(reports: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reports["kind told"], tmp_path / "report"))
    path = folder / "dicom" / "structured-report.dcm"
    nameless = dcmread(path)
    nameless.PatientID = ""
    nameless.save_as(path)
    with pytest.raises(DeliveryError, match=r"no HL7 2\.5\.1 message") as caught:
        destination(NOBODY).deliver(files_of(folder))
    assert caught.value.__suppress_context__
    nameless.PatientID, nameless.PatientName = "1", ""
    nameless.save_as(path)
    assert str(message_of(report_of(folder)).segment("PID")[5]) == "^^^^^^U"


# What receivers answer -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_what_a_receiver_does_not_take_is_refused(reports: dict[str, Path], code: str) -> None:
    with receiving(lambda message: str(message.create_ack(code))) as receiver:
        receipt = destination(receiver.port).deliver(files_of(reports["kind told"]))
    assert {(one.status, one.detail) for one in receipt.files} == {(FileStatus.REFUSED, code)}


def test_an_answer_to_another_message_is_none(reports: dict[str, Path]) -> None:
    def other(message: hl7.Message) -> str:
        return acknowledged(message).replace(str(message.segment("MSH")[10]), "another")

    with receiving(other) as receiver, pytest.raises(DeliveryError, match="no acknowledgement"):
        destination(receiver.port).deliver(files_of(reports["kind told"]))


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"garbage",),
        (b"\x0b",),
        (b"\x0bMSH|^~\\&|A",),
        (b"\x0bMSH|^~\\&|A\r\x1c",),
        (b"\x0b\x1c\r",),
        (b"\x0bMSA|AA|x\r\x1c\r",),
        (b"\x0b\xff\xfe\x00\x1c\r",),
        (b"\x0bMSH|^~\\&|A|B|C|D|2026||ACK|1|P|9.9\rMSA|AA|x\r\x1c\r",),
        (b"\x0b" + b"A" * 200_000,),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    ],
    ids=["hangs up", "garbage", "start", "cut", "half an end", "empty", "no MSH", "no text",
         "version", "endless", "a web server"],
)  # fmt: skip
def test_an_answer_that_is_none_makes_nothing_sent(
    reports: dict[str, Path], parts: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with saying(*parts) as port, pytest.raises(DeliveryError) as caught:
        destination(port).deliver(files_of(reports["kind told"]))
    for secret in SECRETS:
        assert secret not in f"{caught.value} {caught.value.found} {caplog.text}"


@pytest.mark.parametrize("parts", [(), (b"\x0bMSH",), (b"\x0bMSH", b"|", b"^")])
def test_silence_ends_in_time(reports: dict[str, Path], parts: tuple[bytes, ...]) -> None:
    with (
        saying(*parts, hold=True) as port,
        pytest.raises(DeliveryError, match=r"no answer .* \(TimeoutError\)"),
    ):
        destination(port, answer_s=0.2).deliver(files_of(reports["kind told"]))


def test_an_endless_answer_is_not_waited_for(reports: dict[str, Path]) -> None:
    with (
        saying(b"\x0b" + b"A" * 200_000, hold=True) as port,
        pytest.raises(DeliveryError, match=r"\(MllpError\)"),
    ):
        destination(port, answer_s=5.0).deliver(files_of(reports["kind told"]))


def test_an_answer_may_come_in_pieces_and_with_any_line_ends(reports: dict[str, Path]) -> None:
    control = control_id(report_of(reports["kind told"])).encode()
    header = b"MSH|^~\\&|A|B|C|D|2026||ACK^R01|1|P|2.3\r\nMSA|AA|" + control + b"|\xfc\r\n"
    parts = [b"\x0b", *(header[k : k + 1] for k in range(len(header))), b"\x1c", b"\r"]
    with saying(*parts) as port:
        receipt = destination(port).deliver(files_of(reports["kind told"]))
    assert {(one.status, one.detail) for one in receipt.files} == {(FileStatus.ACCEPTED, "AA")}


def test_nobody_there_is_said(reports: dict[str, Path]) -> None:
    assert not destination(NOBODY).check().works
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        destination(NOBODY).deliver(files_of(reports["kind told"]))


# On the way ------------------------------------------------------------------------------------


def test_tls_checks_the_receiver(
    reports: dict[str, Path], certificates: dict[str, Path], tmp_path: Path
) -> None:
    files = files_of(reports["kind told"])
    own = TlsSettings(certificates["cert"], certificates["key"], certificates["ca"])
    with receiving(tls=own.server()) as receiver:
        sending = destination(receiver.port, tls=own)
        assert sending.check().works
        assert {one.status for one in sending.deliver(files).files} == {FileStatus.ACCEPTED}
        stranger = destination(receiver.port, tls=TlsSettings())
        assert not stranger.check().works
        with pytest.raises(DeliveryError, match="TLS: CERTIFICATE_VERIFY_FAILED"):
            stranger.deliver(files)
        with pytest.raises(DeliveryError):
            destination(receiver.port).deliver(files)
    assert len(receiver.messages) == 1


def test_a_patient_does_not_go_over_the_network_in_the_clear() -> None:
    with pytest.raises(SettingsError, match="in the clear"):
        Hl7Settings("ris", "ris.example", 2575)
    assert Hl7Settings("ris", "ris.example", 2575, in_the_clear=True).port == 2575
    assert Hl7Settings("ris", "ris.example", 2575, tls=TlsSettings()).port == 2575


@pytest.mark.parametrize("port", [0, -1, 99999])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(SettingsError):
        Hl7Settings("ris", "127.0.0.1", port)
