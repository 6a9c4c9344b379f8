"""What descriptions and kernels say, as tables: parts of the body, kernels, kinds of image."""

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


#: Words (or their beginnings) for the chest in the languages of common scanner protocols. A scan
#: of the trunk, of the whole body, or from skull to thigh (PET-CT) includes it.
_CHEST = re.compile(
    r"CHEST|THORA|T[OÓ]RAX|LUNG|PULMO|POUMON|POLMON|TORSO|TRUNK|WHOLE ?BODY|GANZK|POLYTRAUMA|THIGH|"
    r"\bCAP\b|\bTAP\b|\bHRCT\b|\bPE\b|CTPA|COVID|PNEUMO|ГРУД|Л[ЕЁ]ГК|\bОГК\b|胸|肺|흉부|흉곽|폐야|"
    r"ΘΩΡΑΚ|ΠΝΕΥΜ|GÖĞÜS|TORAKS|AKC[Iİ]ĞER|KLATK\w* PIERS|PŁUC|HRUDN|MELLKAS|TÜDŐ|"
    r"חזה|صدر|ทรวงอก|ปอด|NGỰC|PHỔI"
)
#: Vertebrae are named after the chest without being it.
_VERTEBRAE = re.compile(
    r"(THORA\w*|\bT)[ -]*SPINE|(SPINE|COLUMN|COLUMNA|WIRBEL)\w*[ -]*THORA\w*|胸腰?椎|흉추|"
    r"ГРУДН\w*(?: ОТДЕЛ\w*)? ПОЗВОНОЧ\w*"
)
_ELSEWHERE = re.compile(
    r"\bHEAD|BRAIN|SKULL|CRANI|CEREBR|KOPF|SCH[AÄ]DEL|\bNECK\b|\bHALS|SINUS|ORBIT|TEMPORAL|FACIAL|"
    r"DENTAL|MANDIB|SPINE|WIRBEL|LUMB|CERVICAL|SACR|ABDOM|BAUCH|PELVI|BECKEN|LIVER|HEPAT|RENAL|"
    r"KIDNEY|COLON|UROGR|\bHIP\b|\bKNEE|\bKNIE|ANKLE|\bFOOT\b|WRIST|\bHAND\b|ELBOW|SHOULDER|"
    r"EXTREMIT|FEMUR|TIBIA|\bLEG\b|\bARM\b|RUNOFF|HEART|CARDIAC|CORONARY|CALCIUM|"
    r"ГОЛОВ|БРЮШ|МАЛОГО ТАЗА|ПОЗВОНОЧ|头颅|颅脑|头部|頭部|頭顱|腹|盆腔|骨盆|骨盤|颈|頸|椎|"
    r"두부|뇌|복부|골반|흉추|요추|경추"
)
#: Images computed from a scan in a way that changes what a voxel means, by Image Type
#: (PS3.3 C.8.2.1.1.1, C.8.15.3.1 and makers' own). Axial averages and reformats still are HU.
_COMPUTED_TYPE = re.compile(
    r"\bMIPS?\b|\bMINIP|MAX_?IP|MIN_?IP|PROJECTION|SCREEN ?S|\bVRT?\b|VOLREN|VOLUME REND|\bSSD\b|"
    r"\bCPR\b|PERFUSION|SUBTRACT|MULTIPLIC|DIVISION|STD_DEV|QUANTITY|IODINE|Z_?EFF|EFFECTIVE|"
    r"ELECTRON|\bFUSION|DOSE|LABEL|SEGMENT|MAT_(?:SPECIFIC|FRACTIONAL|VALUE)"
)
_COMPUTED_TEXT = re.compile(
    r"\bMIPS?\b|\bMINIP\b|\bMIN ?IP\b|\bVRT\b|IODINE|\bZ ?EFF\b|SUBTRACT|\bFUSION\b|PERFUSION|"
    r"DOSE REPORT|PATIENT PROTOCOL|SCREEN ?SAVE"
)
#: Images as if taken with X-rays of one energy (Image Type value VMI, PS3.3 C.8.2.1.1.1 and
#: C.8.15.3.1; Mono, Mono+, MonoE, GSI Mono by maker), and as if without contrast (MAT_REMOVED, VNC,
#: VUE). They are in HU, but not in those of an ordinary scan. TNC is none: it is a true one.
_MONOENERGETIC = re.compile(
    r"\bVMI\b|\bMONO(?:E|PLUS)?\b|MONO ?ENERG|MONOCHROMATIC|\d KEV\b|\dKEV\b|单能|單能"
)
_NON_CONTRAST = re.compile(
    r"\bMAT REMOVED\b|\bVNC\b|\bVUE\b|VIRTUAL (?:NON|UN)|VIRTUELL\w* NATIV|虚拟平扫|虛擬平掃"
)
_ENERGY = re.compile(r"(\d{2,3}) ?KEV\b")
#: Out of breath or face down the normal lung looks grey at the back or in front.
_UNUSUAL_STATE = re.compile(r"\bEXP\b|EXPIR|EXSPIR|\bPRONE\b|BAUCHLAGE")

_SHARP_WORDS = re.compile(r"LUNG|BONE|EDGE|SHARP|HRCT|PARENCH|DETAIL\+")
_SOFT_WORDS = re.compile(r"STANDARD|SOFT|SMOOTH|MEDIAST|WEICHTEIL|DETAIL")
#: Kernel names by maker: Siemens letters with a number (50 and more is sharp, Bl is for lungs);
#: Canon FC (30s bone, 50s lung, 80s high resolution); Philips letters.
_KERNELS: tuple[tuple[re.Pattern[str], Kernel], ...] = (
    (re.compile(r"^BL\d\d"), Kernel.LUNG),
    (re.compile(r"^FC[358]\d"), Kernel.LUNG),
    (re.compile(r"^FC\d"), Kernel.SOFT),
    (re.compile(r"^[A-Z]{1,2}[5-9]\d[A-Z]?\b"), Kernel.LUNG),
    (re.compile(r"^[A-Z]{1,2}[1-4]\d[A-Z]?\b"), Kernel.SOFT),
    (re.compile(r"^(L|D|E|Y[A-E])$"), Kernel.LUNG),
    (re.compile(r"^(A|B|C|[SU][ABC]|CHEST|BODY)$"), Kernel.SOFT),
)


def region_of(text: str) -> Region:
    """What a description says about the part of the body; a word for the chest outweighs others."""
    upper = text.upper().replace("_", " ")
    if _CHEST.search(_VERTEBRAE.sub("SPINE", upper)):
        return Region.CHEST
    return Region.ELSEWHERE if _ELSEWHERE.search(upper) else Region.UNSAID


def kernel_of(name: str) -> Kernel:
    """Sharpness by a Convolution Kernel (0018,1210)."""
    for pattern, kernel in _KERNELS:
        if pattern.search(name.upper().strip()):
            return kernel
    return kernel_in_text(name)


def kernel_in_text(text: str) -> Kernel:
    """Sharpness by the words of a description."""
    upper = text.upper()
    if _SHARP_WORDS.search(upper):
        return Kernel.LUNG
    return Kernel.SOFT if _SOFT_WORDS.search(upper) else Kernel.UNKNOWN


def computed_by_type(image_type: tuple[str, ...]) -> str | None:
    """The Image Type value that names a computed image, if any."""
    return next((value for value in image_type[2:] if _COMPUTED_TYPE.search(value)), None)


def computed_by_text(description: str) -> str | None:
    """The word of a description that names a computed image, if any."""
    found = _COMPUTED_TEXT.search(description.upper().replace("_", " "))
    return found.group(0) if found else None


def unusual_state(text: str) -> str | None:
    """The word of a description that says breathed out or prone, if any."""
    found = _UNUSUAL_STATE.search(text.upper().replace("_", " "))
    return found.group(0) if found else None


def virtual_energy(image_type: tuple[str, ...], description: str) -> str | None:
    """What images computed from several X-ray energies show, in words; None of ordinary ones.

    By Image Type (or Frame Type), and how the series and its derivation are described.
    """
    words = " ".join((*image_type[2:], description)).upper().replace("_", " ")
    if _NON_CONTRAST.search(words):
        return "virtual non-contrast images"
    if not _MONOENERGETIC.search(words):
        return None
    energy = _ENERGY.search(words)
    return f"virtual monoenergetic images{f' of {energy[1]} keV' if energy else ''}"
