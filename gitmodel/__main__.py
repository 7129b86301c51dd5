"""`python -m gitmodel`: the same program as `git model`."""

from gitmodel.cli import main

if __name__ == "__main__":
    main(prog_name="gitmodel")
