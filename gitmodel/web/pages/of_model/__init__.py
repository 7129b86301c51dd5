"""The pages below the address of a model, `/m/MODEL/`."""
