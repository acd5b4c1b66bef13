"""``python -m msoauth`` is the command line."""

from msoauth.cli import main

if __name__ == "__main__":
    main()
