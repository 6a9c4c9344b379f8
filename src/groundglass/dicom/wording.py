"""What descriptions and kernels say, as tables: body regions and reconstruction kernels."""

from __future__ import annotations

import re
from enum import StrEnum


class Region(StrEnum):
    """What a text says about the part of the body."""

    CHEST = "chest"
    ELSEWHERE = "elsewhere"
    UNSAID = "unsaid"


class Kernel(StrEnum):
    """Sharpness of a reconstruction kernel."""

    LUNG = "lung or sharp"
    SOFT = "soft"
    UNKNOWN = "unknown"


#: Words (or their beginnings) for the chest, in the languages of common scanner protocols. A scan
#: of the whole body or of trunk includes it.
_CHEST = re.compile(
    r"CHEST|THORA|T[OÓ]RAX|LUNG|PULMO|POUMON|POLMON|LUNGE|TORSO|TRUNK|WHOLE ?BODY|WHOLEBODY|"
    r"GANZK|POLYTRAUMA|\bCAP\b|\bTAP\b|\bHRCT\b|\bPE\b|CTPA|COVID|PNEUMO|ГРУД|ЛЕГК|胸|肺",
)
_ELSEWHERE = re.compile(
    r"\bHEAD|BRAIN|SKULL|CRANI|CEREBR|KOPF|SCH[AÄ]DEL|\bNECK\b|\bHALS|SINUS|ORBIT|TEMPORAL BONE|"
    r"FACIAL|DENTAL|MANDIB|C-?SPINE|L-?SPINE|LUMB|CERVICAL|SACR|ABDOM|BAUCH|PELVI|BECKEN|LIVER|"
    r"HEPAT|RENAL|KIDNEY|COLON|UROGR|\bHIP\b|\bKNEE|\bKNIE|ANKLE|\bFOOT\b|WRIST|\bHAND\b|ELBOW|"
    r"SHOULDER|EXTREMIT|FEMUR|TIBIA|\bLEG\b|\bARM\b|RUNOFF|HEART|CARDIAC|CORONARY|CALCIUM SC"
)
#: Images computed from the scan rather than reconstructed, by Image Type or description.
_COMPUTED = re.compile(
    r"\bMIPS?\b|MINIP|\bMNIP|MAX_?IP|MIN_?IP|\bMPR|REFORMAT|PROJECTION|SCREEN ?S|\bVRT?\b|VOLREN|"
    r"VOLUME REND|\b3D\b|\bSSD\b|\bCPR\b|PERFUSION|SUBTRACT|IODINE|Z_?EFF|EFF(ECTIVE)? ?Z\b|"
    r"ELECTRON DENS|FUSION|DOSE|PROTOCOL|\bSECONDARY CAPTURE|\bLABEL|SEGMENT"
)
_COMPUTED_TEXT = re.compile(r"\bMIPS?\b|MINIP|MIN ?IP|\bVRT\b|\b3D\b|IODINE|Z ?EFF|SUBTRACT|FUSION")

_KERNELS: tuple[tuple[re.Pattern[str], Kernel], ...] = (
    # Words of any vendor (GE: LUNG, BONE, BONEPLUS, EDGE; STANDARD, SOFT, DETAIL).
    (re.compile(r"LUNG|BONE|EDGE|SHARP|ULTRA|HRCT|^DETAIL\+"), Kernel.LUNG),
    (re.compile(r"STANDARD|SOFT|SMOOTH|DETAIL|CHEST|BODY"), Kernel.SOFT),
    # Siemens: B10-B50 soft, B60-B90 sharp; Br, Bl, I, D likewise by their number; Bl is for lungs.
    (re.compile(r"^BL\d"), Kernel.LUNG),
    (re.compile(r"^[A-Z]{1,2}[5-9]\d[A-Z]?\b"), Kernel.LUNG),
    (re.compile(r"^(B|BR|BV|BF|I|D|HR|QR)[1-4]\d"), Kernel.SOFT),
    # Canon, Toshiba: FC30-39 bone, FC50-59 lung, FC80-89 high resolution; FC01-29, 40-49 soft.
    (re.compile(r"^FC(3|5|8)\d"), Kernel.LUNG),
    (re.compile(r"^FC\d"), Kernel.SOFT),
    # Philips: A, B, C soft; L lung, D, E, YA-YE sharp.
    (re.compile(r"^(L|D|E|Y[A-E])$"), Kernel.LUNG),
    (re.compile(r"^(A|B|C|SA|SB|SC|UA|UB|UC)$"), Kernel.SOFT),
)


def region_of(text: str) -> Region:
    """What a description says about the part of the body; the chest word wins."""
    upper = text.upper().replace("_", " ")
    if _CHEST.search(upper):
        return Region.CHEST
    return Region.ELSEWHERE if _ELSEWHERE.search(upper) else Region.UNSAID


def kernel_of(text: str) -> Kernel:
    """Sharpness of a Convolution Kernel (0018,1210), by vendor's naming."""
    upper = text.upper().strip()
    for pattern, kernel in _KERNELS:
        if pattern.search(upper):
            return kernel
    return Kernel.UNKNOWN


def computed_by_type(image_type: tuple[str, ...]) -> str | None:
    """The Image Type value that names a computed image, if any (PS3.3 C.8.2.1.1.1, C.8.15.3.1)."""
    for value in image_type[2:]:
        if _COMPUTED.search(value):
            return value
    return None


def computed_by_text(description: str) -> str | None:
    """The word of a description that names a computed image, if any."""
    found = _COMPUTED_TEXT.search(description.upper().replace("_", " "))
    return found.group(0) if found else None
