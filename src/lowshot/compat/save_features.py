"""``save_features.py`` of the original: the features of a list of images, in its order."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from lowshot.compat.names import MODELS
from lowshot.compat.program import Flags, end, integer, parser, run

PROGRAM = "save_features"


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser("save_features", "Save the features of all images of a data configuration, in its order, as HDF5.")
    add = found.add_argument
    add("--cfg", required=True, help="YAML data configuration of the images")
    add("--outfile", required=True, help="features file to write")
    add("--modelfile", required=True, help="checkpoint of the network")
    add("--model", default="ResNet10", help=", ".join(MODELS))
    add("--num_classes", default=1000, type=integer(1), help="outputs of the network")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _save, arguments)


def _save(given: Flags) -> None:
    from lowshot.compat.data_config import read_source, transforms_of
    from lowshot.compat.formats.checkpoint import read_checkpoint
    from lowshot.compat.formats.features import is_written_by
    from lowshot.compat.memory import keep_freed_memory
    from lowshot.compat.overwriting import require_own
    from lowshot.compat.precision import PRECISION, only_float32
    from lowshot.features import extract_features
    from lowshot.files import require_writable

    require_writable(given.outfile, "--outfile")
    require_own_file = partial(require_own, given.outfile, "--outfile", lambda path: is_written_by(path, PROGRAM))
    require_own_file()
    backbone = read_checkpoint(given.modelfile, given.model, given.num_classes).backbone
    source = read_source(given.cfg, given.num_classes)
    only_float32()
    keep_freed_memory()
    extract_features(
        backbone,
        source.images,
        transforms_of(source, source),
        given.outfile,
        batch_size=source.batch_size,
        engine="torch",
        precision=PRECISION,
        workers=source.workers,
        attributes={"program": PROGRAM},
        before_write=require_own_file,
    )


if __name__ == "__main__":
    end(main())
