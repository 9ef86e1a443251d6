"""The picture formats that are read, and how a file shows that it is one: by its first bytes, or by its name."""

from __future__ import annotations

import re

FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP"),
    *("AVIF", "HEIF", "JPEG2000", "QOI", "DDS", "PSD", "SGI", "SUN", "DIB", "PCX", "TGA"),
)
"""Pillow's names of the formats. Those whose readers start other programs (EPS: Ghostscript) and icons are left out."""

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf", ".qoi", ".dib", ".dds", ".pcx", ".psd"),
        *(".sgi", ".rgb", ".rgba", ".bw", ".ras", ".tga", ".vda", ".icb", ".vst"),
    )
)
"""The names that pictures have. A file of such a name is taken for a picture without a look into it."""

RAW_EXTENSIONS = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
        *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    )
)
"""The names of camera raw files. Many look like a TIFF, but what a TIFF reader finds in them is a thumbnail."""

SIGNATURE_BYTES = 32
"""The number of bytes from the start of a file that :func:`is_picture` needs."""

_WITHOUT_SIGNATURE = {
    "DIB": frozenset((".dib",)),
    "PCX": frozenset((".pcx",)),
    "TGA": frozenset((".tga", ".vda", ".icb", ".vst")),
}
_HEIF_BRANDS = frozenset((*(b"heic", b"heix", b"heim", b"heis"), *(b"hevc", b"hevx", b"hevm", b"hevs")))
_SHARED_BRANDS = frozenset((b"mif1", b"msf1"))  # of HEIF and AVIF
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|BM....\0\0\0\0....[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # BMP: no reserved bits, a known header's length
    rb"|(?:II\*\0|MM\0\*|II\+\0\x08\0\0\0|MM\0\+\0\x08\0\0)"  # TIFF and BigTIFF
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\0"  # JPEG 2000: file and bare codestream
    rb"|qoif"
    rb"|DDS \x7c\0\0\0"
    rb"|8BPS\0\x01\0{6}"
    rb"|\x01\xda[\0\x01][\x01\x02]\0[\x01\x02\x03]"  # SGI
    rb"|\x59\xa6\x6a\x95"  # Sun raster
    rb"|P[1-6]\s(?:#|\s*\d+\s+\d+\s)",  # PBM, PGM, PPM
    re.DOTALL,
)


def extension(path: str) -> str:
    """The extension of a path in lower case, with its dot; empty if there is none."""
    dot = path.rfind(".")
    return path[dot:].lower() if dot > path.rfind("/") else ""


def is_picture(head: bytes) -> bool:
    """True if a file that begins with these ``SIGNATURE_BYTES`` is in one of the formats.

    TGA, PCX and DIB have no signature, so they are known by their names alone.
    """
    return _SIGNATURES.match(head) is not None or _container(head) is not None


def formats_of(head: bytes, name: str) -> tuple[str, ...]:
    """The formats to try on a picture, from its first bytes and its name."""
    if (container := _container(head)) is not None:
        return container
    by_name = tuple(kind for kind, extensions in _WITHOUT_SIGNATURE.items() if extension(name) in extensions)
    return (*(kind for kind in FORMATS if kind not in ("AVIF", "HEIF", *_WITHOUT_SIGNATURE)), *by_name)


def _container(head: bytes) -> tuple[str, ...] | None:
    """The formats of an ISO base media file, which videos are as well; None for anything else."""
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    if brand in _HEIF_BRANDS:
        return ("HEIF",)
    if brand in _AVIF_BRANDS:
        return ("AVIF",)
    return ("AVIF", "HEIF") if brand in _SHARED_BRANDS else None
