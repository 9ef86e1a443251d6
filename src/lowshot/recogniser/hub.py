"""Recognisers on the Hugging Face hub, by the mixin of huggingface_hub, which is imported on first use.

What is shared is a copy of the folder: the present state, without what was removed and, unless asked for, without the
states before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowshot import __version__
from lowshot.errors import InputError, LowshotError
from lowshot.files import Pathlike, write_json, write_text
from lowshot.progress import say
from lowshot.recogniser.card import card
from lowshot.recogniser.folder import (
    BACKBONE_FILE,
    BASE_FILE,
    CARD_FILE,
    CLASSIFIER_FILE,
    STATE_FILE,
    check_vacant,
    is_recogniser,
    read_state,
)
from lowshot.recogniser.model import live_examples
from lowshot.recogniser.shots import Shots, append_shots, read_shots
from lowshot.recogniser.state import FORMAT, State

if TYPE_CHECKING:
    from lowshot.recogniser.recogniser import Recogniser

HUB_FILE = "config.json"
"""A file that the hub counts downloads by; it says that the folder is a recogniser."""

FETCHED = [STATE_FILE, "shots*.h5", BASE_FILE, CLASSIFIER_FILE, BACKBONE_FILE, CARD_FILE, "history/*.json"]
"""The files of a recogniser: of whatever else there is, nothing is fetched."""

PUSH_MESSAGE = f"A recogniser of lowshot {__version__}"


def shared_copy(recogniser: Recogniser, folder: Path, name: str, thumbnails: bool, history: bool) -> None:
    """Write the copy of a recogniser that is shared.

    Args:
        recogniser (Recogniser): The recogniser.
        folder (Path): The folder of the copy, which exists and is empty.
        name (str): Its name on the hub, for the card.
        thumbnails (bool): True keeps the small pictures of the photos.
        history (bool): True keeps the states before, and the photos that were removed since.
    """
    source = recogniser.folder
    state = read_state(source)
    shots = read_shots(source, state.rows, state.backbone.dim, thumbnails)
    if not history:
        state, shots = _present(state, shots)
    if not thumbnails:
        state = state.model_copy(update={"thumbnails": False})
    for file in (BASE_FILE, CLASSIFIER_FILE, BACKBONE_FILE):
        if (source / file).is_file():
            shutil.copyfile(source / file, folder / file)
    if history and (source / "history").is_dir():
        shutil.copytree(source / "history", folder / "history")
    append_shots(folder, 0, state.backbone.dim, shots)
    write_json(folder / HUB_FILE, {"library_name": "lowshot", "format": FORMAT})
    examples = live_examples(state, shots)
    write_text(folder / CARD_FILE, _shared_card(recogniser, state, name, len(examples.rows)))
    write_json(folder / STATE_FILE, state.model_dump(mode="json"))


def _present(state: State, shots: Shots) -> tuple[State, Shots]:
    """The state with its live shots alone, and nothing of what was before."""
    live = np.setdiff1d(np.arange(len(shots)), state.removed)
    return (
        state.model_copy(update={"parent": None, "history": [], "rows": len(live), "removed": []}),
        shots.take(live),
    )


def _shared_card(recogniser: Recogniser, state: State, name: str, n_photos: int) -> str:
    own = name.rpartition("/")[2]
    pictures = ", small pictures of them" if state.thumbnails else ""
    return "\n".join(
        [
            card(own, state, recogniser.shots(), recogniser.classes),
            "## From the hub",
            "",
            "```python",
            "from lowshot.recogniser import Recogniser",
            "",
            f'recogniser = Recogniser.from_pretrained("{name}")',
            f'own = recogniser.save("{own}")  # a copy, to teach it more',
            "```",
            "",
            f"This copy was shared, with the features, digests and file names of {n_photos} photos{pictures}.",
            "",
        ]
    )


@cache
def _mixin() -> Any:
    try:
        from huggingface_hub import ModelHubMixin, snapshot_download
    except ImportError as error:
        raise InputError(f"the hub needs the package huggingface_hub: pip install 'lowshot[hub]' ({error})") from None

    class OnHub(ModelHubMixin, library_name="lowshot"):
        """A recogniser as huggingface_hub saves, fetches and pushes it."""

        name = ""
        thumbnails = True
        history = False

        def __init__(self, recogniser: Recogniser) -> None:
            self.recogniser = recogniser

        def _save_pretrained(self, save_directory: Path) -> None:
            shared_copy(
                self.recogniser, save_directory, self.name or save_directory.name, self.thumbnails, self.history
            )

        @classmethod
        def _from_pretrained(cls, *, model_id: str, **options: Any) -> OnHub:
            opened = options.pop("opened")
            found = snapshot_download(
                model_id, allow_patterns=FETCHED, library_name="lowshot", library_version=__version__, **options
            )
            if not is_recogniser(found):
                raise InputError(f"{model_id} on the hub is no recogniser: it has no {STATE_FILE}")
            return cls(opened(found, read_only=True))

    return OnHub


def save_pretrained(recogniser: Recogniser, folder: Pathlike, thumbnails: bool, history: bool) -> None:
    """Write the copy that would be shared; see :meth:`lowshot.recogniser.Recogniser.save_pretrained`."""
    check_vacant(Path(folder))
    shared = _mixin()(recogniser)
    shared.thumbnails, shared.history = thumbnails, history
    shared.save_pretrained(Path(folder))


def push_to_hub(recogniser: Recogniser, repo_id: str, thumbnails: bool, history: bool, **options: Any) -> str:
    """Upload a recogniser; see :meth:`lowshot.recogniser.Recogniser.push_to_hub`."""
    recogniser.require_classes()
    shared = _mixin()(recogniser)
    shared.name, shared.thumbnails, shared.history = repo_id, thumbnails and recogniser.state.thumbnails, history
    pictures = ", with small pictures of them (thumbnails=False leaves these out)" if shared.thumbnails else ""
    n_photos = sum(recogniser.shots().values())
    say(f"{repo_id}: shares the features and file names of {n_photos} photos{pictures}")
    with _hub_errors(repo_id):
        return str(shared.push_to_hub(repo_id, **{"commit_message": PUSH_MESSAGE, **options}))


def from_pretrained(opened: type[Recogniser], model: Pathlike, folder: Pathlike | None, **options: Any) -> Recogniser:
    """Fetch a recogniser; see :meth:`lowshot.recogniser.Recogniser.from_pretrained`."""
    if folder is not None:
        check_vacant(Path(folder))
    if os.path.isdir(model):
        found = opened(model)
    else:
        with _hub_errors(str(model)):
            found = _mixin().from_pretrained(str(model), opened=opened, **options).recogniser
    return found if folder is None else found.save(folder)


@contextlib.contextmanager
def _hub_errors(repo_id: str) -> Iterator[None]:
    """Say in lowshot's words what the hub could not do.

    Raises:
        InputError: The name is not possible, or there is no such model.
        LowshotError: The hub cannot be reached, or refuses.
    """
    _mixin()
    from huggingface_hub import errors

    try:
        yield
    except (InputError, LowshotError):
        raise
    except errors.HFValidationError as error:
        raise InputError(f"{repo_id!r} is no name of a model on the hub, such as user/birds: {error}") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise InputError(
            f"the hub has no model {repo_id!r} of that revision, or it is private and needs `hf auth login`: "
            f"{_first_line(error)}"
        ) from None
    except (OSError, errors.EntryNotFoundError) as error:
        raise LowshotError(f"{repo_id}: the hub cannot be reached, or refuses: {_first_line(error)}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests", "huggingface_hub"):
            raise
        raise LowshotError(f"{repo_id}: the hub cannot be reached, or refuses: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
