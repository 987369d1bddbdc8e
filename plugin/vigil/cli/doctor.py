"""``vigil doctor`` and ``vigil support-bundle``: what is wrong here, and one archive for whoever helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.beside import DEFAULT_CONFIG, ConfigOption, JsonOption
from vigil.cli.errors import NothingFound
from vigil.domain.clock import SystemClock
from vigil.oversight.doctor.check import exit_code, in_lines
from vigil.oversight.doctor.examine import examine
from vigil.oversight.doctor.site import Surroundings, kernel_is_synchronised
from vigil.oversight.support import make_bundle
from vigil.pipeline.house import BUNDLED_MODELS

AROUND = Surroundings(SystemClock(), BUNDLED_MODELS, kernel_is_synchronised)


def doctor(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Looks at everything, whether Orthanc runs or not, and says what to do. Exit code 0: well, 1: warnings, 2: errors."""
    checks = examine(config, AROUND)
    typer.echo(json.dumps({"exit_code": exit_code(checks), "checks": [check.as_dict() for check in checks]},
                          ensure_ascii=False, indent=1) if as_json else in_lines(checks))
    raise typer.Exit(exit_code(checks))


def support_bundle(
    output: Annotated[Path, typer.Argument(help="The archive to make, such as support.tar.gz. It must not be there yet.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Makes one archive for the vendor: the doctor's findings, versions, settings without secrets, counts, and the log's end.

    Nothing of a patient and no secret is in it; it is plain text, to be looked through before it is sent.
    """
    try:
        names = make_bundle(output, config, AROUND)
    except FileExistsError as error:
        raise NothingFound(f"{output} is there already; name another file") from error
    except OSError as error:
        raise NothingFound(f"{output} cannot be written ({error.strerror}); name a place where there is room") from error
    typer.echo(f"{output} holds {', '.join(names)}. Look through it before you send it.")
