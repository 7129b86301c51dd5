"""The registry of artifact formats: loading and saving files by format, with plug-ins."""

from gitmodel.formats.detection import detect_format
from gitmodel.formats.format import Format
from gitmodel.formats.loading import load, save
from gitmodel.formats.plugins import format_names, register_format

__all__ = ["Format", "detect_format", "format_names", "load", "register_format", "save"]
