"""The command line, thin: parse, call, print, exit."""

from __future__ import annotations

import sys
from typing import Any

import click

from .. import __version__
from ..errors import LoanlintError, UsageError

EXIT_CLEAN, EXIT_FLAGGED, EXIT_ERROR = 0, 1, 2

# Command → module of this package; a module is imported when its command is called, so that start-up stays short.
_COMMANDS = {
    "check": "check",
    "scan": "scan",
    "batch": "batch",
    "train": "train",
    "evaluate": "evaluate",
    "gate": "gate",
    "model": "model",
    "taxonomy": "taxonomy",
    "data": "data",
    "serve": "serve",
    "keys": "keys",
    "webhooks": "webhooks",
    "review": "review",
}


class LazyGroup(click.Group):
    """A group that imports its commands on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Command names in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        from importlib import import_module

        command = import_module(f"{__name__}.{_COMMANDS[cmd_name]}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="loanlint")
def root() -> None:
    """Loanlint 检查中文文本中的误导性贷款广告。

    Flags misleading loan advertising in Chinese text and says why.

    Exit status: 0 clean, 1 flagged, 2 usage or input error.
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line and exit. Errors made on purpose are one line on stderr and status 2."""
    try:
        status = root.main(args=argv, prog_name="loanlint", standalone_mode=False)
    except LoanlintError as error:
        _complain(f"loanlint: {error}")
        sys.exit(EXIT_ERROR)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        _complain("loanlint: 已中断 interrupted")
        sys.exit(130)
    except click.ClickException as error:
        hint = f" ({error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
        _complain(f"loanlint: {error.format_message()}{hint}")
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        # The reader went away (`loanlint … | head`): not an error of ours.
        sys.stderr.close()
        sys.exit(EXIT_CLEAN)
    except MemoryError:
        _complain("loanlint: [E_INPUT_SIZE] the input does not fit into memory; split it")
        sys.exit(EXIT_ERROR)
    sys.exit(status if isinstance(status, int) else EXIT_CLEAN)


def require(extra: str, module: str) -> None:
    """Raise ``UsageError`` with the install command if the extra that brings ``module`` is not installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise UsageError(
            f"this command needs the extra {extra!r}: pip install 'loanlint[{extra}]'", code="E_USAGE_EXTRA"
        )


def _complain(message: str) -> None:
    print(message.replace("\n", " "), file=sys.stderr)
