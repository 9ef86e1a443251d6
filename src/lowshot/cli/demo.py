"""``lowshot demo``."""

from __future__ import annotations

from lowshot.cli.app import AddressOption, EngineOption, OutputOption, OverridesArgument, WorkersOption, app


@app.command()
def demo(
    overrides: OverridesArgument = None,
    output: OutputOption = None,
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    address: AddressOption = None,
) -> None:
    """Walk the whole road on the embedded data set, in a few minutes on two cores. Nothing is downloaded.

    The same as [bold]lowshot run glyphs[/]: renders characters as a camera would see them, trains two
    representations, extracts features, learns the novel characters from 1 to 20 pictures each, prints the table and
    writes report/report.html.
    """
    from lowshot.benchmark import Engine
    from lowshot.pipeline import run_recipe

    run_recipe("glyphs", overrides or (), output=output, engine=Engine(engine, workers, address))
