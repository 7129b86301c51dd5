"""The formats of gitmodel: a module for each framework, imported when it is used."""
