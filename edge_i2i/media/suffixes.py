"""Which files are taken for pictures and films by their names: the one list for folders, patterns and sources.

Content decides how a file is read. Names decide what is looked at in a folder: what is read, and what its owner expects
to be read, so that it is reported rather than passed over in silence.
"""

from __future__ import annotations

from pathlib import Path

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif", ".avifs"})
"""Pictures that need the extra ``heif``."""

READABLE_SUFFIXES = HEIF_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo"}
    | {".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Pictures that are read."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".ts", ".m2t", ".mts", ".m2ts", ".trp"}
    | {".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".mod", ".tod", ".wmv", ".asf", ".flv", ".f4v", ".3gp"}
    | {".3gpp", ".3g2", ".ogv", ".ogm", ".mxf", ".ivf", ".obu", ".av1", ".nut", ".wtv", ".rm", ".rmvb", ".dv", ".y4m"}
    | {".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".mjpg", ".mjpeg", ".lrv", ".insv", ".360", ".gif", ".apng"}
)
"""Films that are read."""

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".gpr", ".iiq", ".kdc", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
"""What cameras store before it is a picture; the picture inside, if there is one, is a thumbnail."""

_UNREAD_PICTURES = frozenset(
    {".exr", ".hdr", ".pfm", ".pam", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".jxl", ".jxr", ".wdp"}
    | {".tga", ".psd", ".psb", ".xcf", ".svg", ".svgz", ".ico", ".cur", ".pcx", ".sgi", ".ras", ".xbm", ".xpm", ".dds"}
    | {".qoi", ".heics", ".heifs", ".avci", ".btf", ".tf8", ".fits", ".dcm", ".pict", ".emf", ".wmf", ".eps"}
)
_UNREAD_VIDEOS = frozenset({".yuv", ".amv", ".braw", ".r3d", ".crm", ".swf"})

REPORTED_SUFFIXES = RAW_SUFFIXES | _UNREAD_PICTURES | _UNREAD_VIDEOS
"""Pictures and films that are not read, but that their owner expects to be."""

LISTED_SUFFIXES = READABLE_SUFFIXES | VIDEO_SUFFIXES | REPORTED_SUFFIXES
"""All that a search through a folder stops at."""


def is_video(path: Path) -> bool:
    """Whether the file is named as a film; whether a source is one, ``media.films`` knows."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def named_as_picture(path: Path) -> bool:
    """Whether the file is named as a picture that is read; whether it is one, ``media.film.is_picture`` knows."""
    return path.suffix.lower() in READABLE_SUFFIXES
