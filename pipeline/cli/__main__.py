"""``python -m pipeline.cli`` is ``loanlint``."""

from . import main

main()
