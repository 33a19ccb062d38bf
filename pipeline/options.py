"""Options that several commands share."""

from pathlib import Path

import click

state_option = click.option(
    "--state",
    "state_dir",
    envvar="SEAMLINE_STATE",
    default=".seamline",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of runs, cache and data.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable."
)
