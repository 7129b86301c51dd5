"""Turning the values of pages into HTML and JSON, and recording the data that each page used."""
