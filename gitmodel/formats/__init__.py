"""The formats of artifacts: loading and saving files by format, with plug-ins.

Functions and classes:

    format_names     returns the names of all formats
    detect_format    returns the format of a file
    load             returns the value in a file
    save             saves a value to a file
    Format           a way to save a value in a file and to load it
    register_format  adds a format in this process
"""

from gitmodel.formats.catalogue.detection import detect_format
from gitmodel.formats.catalogue.format import Format
from gitmodel.formats.catalogue.plugins import format_names, register_format
from gitmodel.formats.loading import load, save

__all__ = ["Format", "detect_format", "format_names", "load", "register_format", "save"]


def __dir__() -> list[str]:
    return __all__
