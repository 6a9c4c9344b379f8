"""`python -m groundglass` is the `groundglass` command."""

from groundglass.cli import main

if __name__ == "__main__":
    main()
