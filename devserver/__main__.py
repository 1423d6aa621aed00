"""`python -m devserver`: the command where it is not on the PATH."""

from devserver.cli import main

if __name__ == "__main__":
    main()
