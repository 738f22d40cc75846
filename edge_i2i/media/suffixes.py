"""Which files are taken for pictures and films by their names: the one list for folders, patterns and sources.

Content decides how a file is read. Names decide what is looked at in a folder: what is read, and what its owner expects
to be read, so that it is reported rather than passed over in silence.
"""

from __future__ import annotations

from pathlib import Path

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif"})
"""Pictures that need the extra ``heif``."""

READABLE_SUFFIXES = HEIF_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo"}
    | {".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Pictures that are read."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".divx", ".ts", ".m2t", ".mts", ".m2ts", ".mpg", ".mpeg"}
    | {".mpe", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".ivf"}
    | {".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".obu", ".lrv", ".insv", ".360", ".mod", ".tod", ".trp"}
    | {".m1v", ".mpv", ".mk3d", ".3gpp", ".ogm", ".mjpg", ".mjpeg", ".y4m", ".dv", ".rm", ".rmvb", ".nut", ".wtv"}
    | {".gif"}
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
    | {".qoi", ".heics", ".heifs", ".avifs", ".avci", ".btf", ".tf8", ".fits", ".dcm", ".pict", ".emf", ".wmf", ".eps"}
)
_UNREAD_VIDEOS = frozenset({".yuv", ".amv", ".braw", ".r3d", ".swf", ".av1"})

REPORTED_SUFFIXES = RAW_SUFFIXES | _UNREAD_PICTURES | _UNREAD_VIDEOS
"""Pictures and films that are not read, but that their owner expects to be."""

LISTED_SUFFIXES = READABLE_SUFFIXES | VIDEO_SUFFIXES | REPORTED_SUFFIXES
"""All that a search through a folder stops at."""


def is_video(path: Path) -> bool:
    """Whether the file is named as a film."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def may_be_picture(path: Path) -> bool:
    """Whether the file is named neither as a film nor as something that is not read."""
    return path.suffix.lower() not in VIDEO_SUFFIXES | REPORTED_SUFFIXES


def is_picture(path: Path) -> bool:
    """Whether the file is named as a picture that is read."""
    return path.suffix.lower() in READABLE_SUFFIXES
