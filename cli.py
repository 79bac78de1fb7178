"""Entry point of a checkout: ``python cli.py`` is ``loanlint``."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
