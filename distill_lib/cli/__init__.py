"""The command line: ``distill-lib sweep`` trains, ``runs`` looks at tables, ``fit`` fits laws, ``plan`` plans.

Commands only read arguments, call the library and print; whatever goes wrong ends in one line with its remedy.
"""

from __future__ import annotations

import errno

import typer

from distill_lib.cli.fitting import fit
from distill_lib.cli.plans import plan
from distill_lib.cli.speech import say
from distill_lib.cli.tables import check_runs
from distill_lib.cli.training import sweep

app = typer.Typer(
    name="distill-lib",
    help="Distillation scaling laws, executable: train small models, fit laws, plan distillations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
runs_app = typer.Typer(help="Look at a table of runs.", no_args_is_help=True)
app.command()(plan)
app.command()(fit)
app.command()(sweep)
runs_app.command("check")(check_runs)
app.add_typer(runs_app, name="runs")


def main() -> int:
    """Run the command line; turn what a user can mend into one line.

    Returns
    -------
    int
        Exit status: 0, or 1 for a fault with a remedy; a command that was interrupted exits with 130.
    """
    try:
        app(standalone_mode=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return say("the disk is full: free some space, then run the same command again", 1)
        return say(str(error), 1)
    except (ValueError, KeyError, ModuleNotFoundError) as error:
        return say(str(error.args[0] if error.args else error), 1)
    return 0
