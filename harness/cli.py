"""The command line: sub-commands, and errors as messages instead of tracebacks."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from harness import catalogue
from harness.errors import HarnessError

USAGE = """\
python -m harness COMMAND [...]

  run          score a method on a benchmark:       run method=glvd bench=h3ds bench.views=3
               several, one after the other:        run -m method=glvd,lvd,mean_face bench=h3ds
               your own class, no set-up:           run method=path/to/file.py:MyMethod bench=h3ds
  evaluate     score predictions made elsewhere:    evaluate bench=h3ds predictions=DIR unit=mm
  export       write a run as a submission:         export bench=now split=test run=PATH out=DIR
  new          write an adapter to begin with:      new my_method
  doctor       name an adapter's mistakes:          doctor method=path/to/file.py:MyMethod bench=h3ds
  train        train a method's mini size:          train method=glvd
  data         data sets and mirrors:               data status | data make h3ds
               an open head model:                  data get ict --from CLONE
  compare      two runs, number by number:          compare RUN_A RUN_B
  list         the methods and benchmarks there are
  publish      add finished runs to the results:    publish runs/h3ds-mirror/glvd-1a2b3c4d
  verify       check published results:             verify leaderboards/results
  leaderboard  published results and your runs in a browser
  report       the same tables as files:            report --out DIR

`COMMAND --help` says more.
"""

console = Console(stderr=True)


def main(arguments: list[str] | None = None) -> None:
    """Runs one sub-command; ends the process with 2 after a message about what to mend.

    Ends it with 1 where the doctor found something wrong.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(
        level=logging.INFO,
        format="%(levelname)s: %(message)s",
        handlers=[logging.StreamHandler()],  # one that tqdm knows how to write above its bar
        force=True,
    )
    os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return
    command, rest = arguments[0], arguments[1:]
    try:
        if command not in COMMANDS:
            raise HarnessError(f"{command}: no such command{catalogue.nearest(command, COMMANDS)}. See --help")
        COMMANDS[command](rest)
    except HarnessError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.print(f"[bold red]error:[/] {escape(where)}{error.strerror or error}", soft_wrap=True, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("Stopped. What was computed is kept: the same command goes on from here.")
        sys.exit(130)


def _job(name: str) -> Callable[[list[str]], None]:
    def start(arguments: list[str]) -> None:
        from harness import jobs

        jobs.start(name, arguments)

    return start


def _data(arguments: list[str]) -> None:
    from harness import data_commands

    parser = argparse.ArgumentParser(prog="harness data", description="Data sets and their mirrors")
    actions = parser.add_subparsers(dest="action", required=True)
    status = actions.add_parser("status", help="what is there, and how to get what is not")
    status.add_argument("--data-root", default=os.environ.get("HARNESS_DATA", "data"))
    make = actions.add_parser("make", help="write a data set's mirror now")
    make.add_argument("name", choices=sorted(data_commands.datasets()))
    make.add_argument("--head", default="procedural", help="the people's head model; ict for data=mirror-ict")
    get = actions.add_parser("get", help="put an open head model into the cache")
    get.add_argument("name", choices=["ict"])
    get.add_argument("--from", dest="source", required=True, metavar="PATH", help="a clone, or an already packed file")
    options = parser.parse_args(arguments)
    if options.action == "status":
        data_commands.status(Path(options.data_root))
    elif options.action == "get":
        data_commands.get_ict(Path(options.source))
    else:
        data_commands.make(options.name, options.head)


def _doctor(arguments: list[str]) -> None:
    from harness.doctor.command import json_option
    from harness.jobs import start

    if any(diagnosis.wrong for diagnosis in start("doctor", json_option(arguments))):
        sys.exit(1)


def _new(arguments: list[str]) -> None:
    from harness.templates.command import main as new

    new(arguments)


def _compare(arguments: list[str]) -> None:
    from harness import compare_report

    compare_report.main(arguments)


def _publish(arguments: list[str]) -> None:
    from harness.publishing.commands import publish_command

    publish_command(arguments)


def _verify(arguments: list[str]) -> None:
    from harness.publishing.commands import verify_command

    verify_command(arguments)


def _list(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="harness list", description="The methods and benchmarks there are")
    parser.add_argument("--config-dir", help="a folder of your own with method/ and bench/")
    catalogue.print_all(parser.parse_args(arguments).config_dir)


def _leaderboard(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="harness leaderboard", description="The runs in a browser")
    parser.add_argument("--runs", default="runs", help="folder of all runs")
    parser.add_argument("--results", help="folder of published entries (default: the package's)")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--headless", action="store_true", help="do not open a browser")
    options = parser.parse_args(arguments)
    try:
        from streamlit.web import cli as streamlit
    except ImportError:
        raise HarnessError('Streamlit is not installed: pip install "face-recon-harness[leaderboard]"') from None
    from harness.leaderboards import ready

    ready.prepare(options.runs, options.results)
    app = Path(__file__).parent / "leaderboards" / "app" / "main.py"
    if not app.exists():  # an editable installation maps the folder elsewhere
        import harness.leaderboards

        app = Path(harness.leaderboards.__file__).parent / "app" / "main.py"
    sys.argv = [
        "streamlit", "run", str(app), f"--server.port={options.port}", "--server.address=localhost",
        f"--server.headless={str(options.headless).lower()}", "--server.showEmailPrompt=false",
        "--client.toolbarMode=minimal", "--", "--runs", options.runs,
        *(["--results", options.results] if options.results else []),
    ]  # fmt: skip
    sys.exit(streamlit.main())


def _report(arguments: list[str]) -> None:
    from harness.leaderboards import written_report

    written_report.main(arguments)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "run": _job("run"),
    "evaluate": _job("evaluate"),
    "export": _job("export"),
    "train": _job("train"),
    "doctor": _doctor,
    "new": _new,
    "data": _data,
    "compare": _compare,
    "list": _list,
    "publish": _publish,
    "verify": _verify,
    "leaderboard": _leaderboard,
    "report": _report,
}
