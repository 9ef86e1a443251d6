"""A recogniser: classes that were taught from a few photos, in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowshot.checks import check_number
from lowshot.data import BadImageError
from lowshot.errors import InputError, first_few
from lowshot.files import Pathlike, fingerprint
from lowshot.progress import progress
from lowshot.recogniser import folder as folders
from lowshot.recogniser.answering import answered
from lowshot.recogniser.answers import Answer
from lowshot.recogniser.batches import BATCH
from lowshot.recogniser.changes import Taught, renamed, with_class, with_photos, without_class, without_empty
from lowshot.recogniser.class_names import check_distinct, checked_name
from lowshot.recogniser.embedding import Network, Seen
from lowshot.recogniser.lookup import known_class, taught_photo
from lowshot.recogniser.model import Examples, Model
from lowshot.recogniser.photos import ImageLike, Photo, as_photo, labelled_photos, named_photos
from lowshot.recogniser.shots import Shots, read_thumbnails
from lowshot.recogniser.start import DEFAULT_BACKBONE, Start, first_state, pretrained_start
from lowshot.recogniser.state import ClassifierState, State
from lowshot.recogniser.synced import SyncedFolder
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    from lowshot.recogniser.export import Exported
    from lowshot.recogniser.findings import Report


class Recogniser:
    """Classes that were taught from a few photos, in a folder that other programs can read and change as well.

    Every change is complete when the method returns: the folder holds the state before or after it, whatever happens.
    A change starts from what is in the folder then, so that two processes lose nothing of each other's.

    Args:
        folder (path-like): The folder.
        read_only (bool): True refuses every change, for a folder that belongs to another program.

    Raises:
        InputError: There is no recogniser, it is damaged, or of a newer version of lowshot.

    Example:
        >>> birds = Recogniser.load("birds")  # doctest: +SKIP
        >>> birds.teach({"robin": ["a.jpg", image]})  # doctest: +SKIP
        >>> birds.predict(["new.jpg"])[0].class_  # doctest: +SKIP
        'robin'
    """

    def __init__(self, folder: Pathlike, *, read_only: bool = False) -> None:
        self._synced = SyncedFolder(Path(folder), read_only)
        self._network: Network | None = None

    @classmethod
    def load(cls, folder: Pathlike) -> Self:
        """Open the recogniser in a folder."""
        return cls(folder)

    @classmethod
    def create(
        cls,
        folder: Pathlike,
        *,
        backbone: str = DEFAULT_BACKBONE,
        options: Mapping[str, Any] | None = None,
        start: Start | None = None,
        views: str = "one",
        classifier: str | None = None,
        params: Mapping[str, Any] | None = None,
        thumbnails: bool = True,
    ) -> Self:
        """Make a recogniser that was taught nothing yet.

        Args:
            folder (path-like): The folder, which must be empty or not exist.
            backbone (str): The registered name of the network, whose published weights are taken.
            options (mapping, optional): The options of the backbone.
            start (Start, optional): Another network, or base classes, in place of ``backbone``.
            views (str): The views of a photo whose mean feature is taken: "one", "flip", "five_crop",
                "ten_crop" or "affine".
            classifier (str, optional): The registered name of the classifier; none chooses by leave-one-out.
            params (mapping, optional): The parameters of the classifier.
            thumbnails (bool): True keeps a small picture of each photo.

        Raises:
            InputError: There is something else in the folder, or a name or parameter is unknown.
        """
        target = Path(folder)
        folders.check_vacant(target)
        asked = None
        if classifier is not None:
            CLASSIFIERS.build(classifier, **(params or {}))
            asked = ClassifierState(name=classifier, params=dict(params or {}), given=True)
        start = start or pretrained_start(backbone, options or {})
        target.mkdir(parents=True, exist_ok=True)
        with folders.changing(target):
            folders.check_vacant(target)
            state = first_state(target, start, views, asked, thumbnails)
            folders.commit(target, state, "created", Shots.none(state.backbone.dim))
        return cls(target)

    @property
    def folder(self) -> Path:
        """The folder that the recogniser is in."""
        return self._synced.folder

    @property
    def read_only(self) -> bool:
        """True where every change is refused."""
        return self._synced.read_only

    @property
    def classes(self) -> list[str]:
        """The names of the classes: base classes first, then taught ones by name."""
        return self._synced.classes

    @property
    def examples(self) -> Examples:
        """The taught photos that count, sorted by class and content."""
        return self._synced.examples

    @property
    def model(self) -> Model:
        """The fitted classifier with the names of its classes.

        Raises:
            InputError: The recogniser knows no class.
        """
        return self._ready()

    @property
    def state(self) -> State:
        """The state, as ``recogniser.json`` has it."""
        return self._synced.state

    @property
    def fingerprint(self) -> str:
        """The digest of the state."""
        return fingerprint(self.state.model_dump(mode="json"))

    def shots(self) -> dict[str, int]:
        """The number of taught photos of each class that was taught."""
        return self._synced.examples.counts()

    def teach(
        self,
        photos: Mapping[str, Sequence[ImageLike]] | Pathlike,
        *,
        skip_bad: bool = False,
        keep_repeated: bool = False,
    ) -> Taught:
        """Teach classes: new ones, or more photos of known ones.

        A photo that was taught before, byte for byte or resized, is left out and named in the result.

        Args:
            photos (mapping or path): Class name → its images (paths, PIL images or uint8 arrays); or a folder with a
                folder per class, such a zip, or a list of paths and classes.
            skip_bad (bool): True leaves out photos that cannot be decoded; otherwise one of them is an error.
            keep_repeated (bool): True teaches repeated pictures as well, unless they are the same file in one class.

        Returns:
            What was done.

        Raises:
            InputError: A photo cannot be decoded, there is none, a class name is not possible, or the folder cannot be
                written. The recogniser has not changed then.
        """
        given = named_photos(photos) if isinstance(photos, Mapping) else labelled_photos(os.fspath(photos))
        check_distinct(given, self.classes)
        seen = self._see([(name, photo) for name, group in given.items() for photo in group], "teach")
        return self.add(seen, skip_bad=skip_bad, keep_repeated=keep_repeated)

    def add(self, seen: Sequence[tuple[str, Seen]], *, skip_bad: bool = False, keep_repeated: bool = False) -> Taught:
        """Teach photos that the network has seen, with their details; :meth:`teach` is this after it.

        Args:
            seen (sequence of (str, Seen)): The class of each photo, and the photo.
            skip_bad (bool): As of :meth:`teach`.
            keep_repeated (bool): As of :meth:`teach`.

        Returns:
            What was done.

        Raises:
            InputError: As of :meth:`teach`.
        """
        seen = [(checked_name(name), one) for name, one in seen]
        given = sorted({name for name, _ in seen})
        check_distinct(given, self.classes)
        taught = Taught(unreadable=[one.error for _, one in seen if one.error])
        if taught.unreadable and not skip_bad:
            raise InputError(
                f"{len(taught.unreadable)} of {len(seen)} photos cannot be used: {first_few(taught.unreadable)}. "
                f"Nothing was taught; remove them, or leave them out with --skip-bad"
            )
        good = [(name, one) for name, one in seen if one.feature is not None]
        if not good:
            raise InputError(f"none of the {len(seen)} photos can be used: {first_few(taught.unreadable)}")

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            check_distinct(given, self.classes)
            return with_photos(state, shots, good, taught, keep_repeated)

        self._synced.change(edit)
        return taught

    def refresh(self) -> None:
        """Take the state that the folder is in, where another process has changed it.

        Raises:
            InputError: The folder is damaged.
        """
        self._synced.refresh()

    def remove(self, *names: str) -> None:
        """Forget classes.

        Args:
            names (str): Their names.

        Raises:
            InputError: A name is unknown.
        """

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            for name in names:
                state = without_class(state, shots, known_class(name, self.classes, self.folder))
            return state, Shots.none(state.backbone.dim), f"removed {first_few(list(names))}"

        self._synced.change(edit)

    def rename(self, old: str, new: str) -> None:
        """Give a class another name.

        Raises:
            InputError: The old name is unknown, the new one is not possible, or another class has it.
        """
        name = checked_name(new)

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            known = known_class(old, self.classes, self.folder)
            others = [other for other in self.classes if other != known]
            if name in others:
                raise InputError(f"class {name!r} exists already: remove one of the two, or take another name")
            check_distinct([name], others)
            return renamed(state, known, name), Shots.none(state.backbone.dim), f"renamed {known} to {name}"

        self._synced.change(edit)

    def move_photo(self, photo: str, to: str | None) -> None:
        """Give a taught photo to another class, or forget it.

        Args:
            photo (str): The photo, as ``CLASS/FILE``, the start of its digest, or ``CLASS/`` and the start of its
                digest, which names one photo even where the same file was taught in two classes.
            to (str or None): The class, which may be new; None forgets the photo.

        Raises:
            InputError: No taught photo, or more than one, is called so.
        """
        target = None if to is None else checked_name(to)

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            row, shown = taught_photo(photo, self.examples, self.folder)
            removed = sorted({*state.removed, row})
            changed = state.model_copy(update={"removed": removed})
            if target is None:
                return without_empty(changed, shots), Shots.none(state.backbone.dim), f"removed photo {shown}"
            check_distinct([target], self.classes)
            changed = with_class(changed, target)
            moved = shots.take([row])
            moved.labels = np.array([changed.id_of[target]], np.int64)
            moved.thumbnails = read_thumbnails(self.folder, [row])
            return without_empty(changed, shots.joined(moved)), moved, f"moved photo {shown} to {target}"

        self._synced.change(edit)

    def undo(self, number: int | None = None) -> str:
        """Undo the last change.

        Args:
            number (int, optional): The number of the state that is meant (``state.number``), so that no change of
                another process is taken back; none takes the present one.

        Returns:
            What was undone, in words.

        Raises:
            InputError: There is nothing to undo, or the state is another one by now.
        """
        return self._synced.undo(number)

    def set_classifier(self, name: str, params: Mapping[str, Any] | None = None) -> None:
        """Take a classifier of one's own choice.

        Args:
            name (str): The registered name, or "auto" to have it chosen by leave-one-out.
            params (mapping, optional): Its parameters.

        Raises:
            InputError: The name or a parameter is unknown, or the base classes were learned by another classifier.
        """
        if name != "auto":
            CLASSIFIERS.build(name, **(params or {}))
        if self.state.base is not None and name != self.state.classifier.name:
            raise InputError(
                f"recogniser {self.folder} has base classes, which {self.state.classifier.name} learned: no other "
                "classifier can take them over"
            )

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            chosen = ClassifierState(name="nearest_mean" if name == "auto" else name, params=dict(params or {}))
            chosen = chosen.model_copy(update={"given": name != "auto"})
            return state.model_copy(update={"classifier": chosen}), Shots.none(state.backbone.dim), f"classifier {name}"

        self._synced.change(edit)

    def set_unknown_at(self, threshold: float | None) -> None:
        """Mark answers as unknown below a similarity to all classes, from -1 to 1; None chooses it by leave-one-out."""
        if threshold is not None:
            check_number("unknown_at", threshold, least=-1, most=1)

        def edit(state: State, shots: Shots) -> tuple[State, Shots, str]:
            update: dict[str, Any] = {"unknown_given": threshold is not None}
            if threshold is not None:
                update["unknown_at"] = float(threshold)
            return state.model_copy(update=update), Shots.none(state.backbone.dim), f"unknown below {threshold}"

        self._synced.change(edit)

    def predict(self, images: Iterable[ImageLike]) -> list[Answer]:
        """Say what photos show.

        Args:
            images (iterable): Paths, PIL images or uint8 arrays.

        Returns:
            An answer for each, in order. That of a photo that cannot be decoded says so in ``error``.

        Raises:
            InputError: The recogniser knows no class.
        """
        return list(self.answers(as_photo(image, number) for number, image in enumerate(images)))

    def predict_proba(self, images: Iterable[ImageLike]) -> np.ndarray:
        """The probabilities (N, C) float64 of ``classes`` for N photos; each row sums to one.

        Raises:
            InputError: A photo cannot be decoded.
        """
        photos = [as_photo(image, number) for number, image in enumerate(images)]
        seen = list(self.network.see(photos))
        for one in seen:
            if one.feature is None:
                raise BadImageError(one.error)
        if not seen:
            return np.zeros((0, len(self.classes)))
        return self._ready().probabilities(np.stack([one.feature for one in seen]))  # type: ignore[misc]

    def answers(self, photos: Iterable[Photo]) -> Iterator[Answer]:
        """Say what photos show, one by one; memory follows the batch and not the number of photos."""
        model = self._ready()
        seen = iter(self.network.see(photos))
        while batch := list(islice(seen, BATCH)):
            yield from answered(model, batch)

    def suggest(self, photos: Sequence[Pathlike], n: int = 20) -> list[str]:
        """Choose unlabelled photos to label next; see :func:`lowshot.recogniser.suggestions.suggested_photos`."""
        from lowshot.recogniser.suggestions import suggested_photos

        return suggested_photos(self, [os.fspath(photo) for photo in photos], n)

    def check(self) -> Report:
        """Find likely wrong labels, duplicates, confused classes, classes with few photos and poor pictures.

        Raises:
            InputError: The recogniser knows no class.
        """
        from lowshot.recogniser.findings import check_recogniser

        return check_recogniser(self)

    def save(self, folder: Pathlike) -> Recogniser:
        """Copy the recogniser to another folder, which must be empty or not exist; returns the copy.

        Raises:
            InputError: There is something in the folder.
        """
        target = Path(folder)
        folders.check_vacant(target)
        with contextlib.nullcontext() if self.read_only else self._synced.lock():
            shutil.copytree(self.folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        return type(self)(target)

    def export_onnx(self, path: Pathlike) -> Exported:
        """Write the recogniser as one ONNX file, which answers without lowshot and without torch.

        Its input ``pixels`` is (N, H, W, 3) uint8: photos that were resized and cropped as its metadata say. Its
        outputs are ``probabilities`` (N, C), ``unknown`` (N,) bool, ``similarity`` (N,), the highest cosine to the mean
        of a taught class, on which it rests, and ``features`` (N, D). Before the file is kept, its answers are
        compared with those of the recogniser: on the stored features of all taught photos, and from pixels on for
        thumbnails and random images, since the photos themselves are not kept. Needs
        ``pip install 'lowshot[onnx]'``.

        Args:
            path (path-like): The file, whose name ends in ``.onnx``.

        Returns:
            What was compared.

        Raises:
            InputError: A package is missing, the file cannot be written, or the classifier, the views or the
                preprocessing have no form in ONNX.
            LowshotError: The network has none, or a probability differs by more than 0.001.
        """
        from lowshot.recogniser.export import export_onnx

        return export_onnx(self, path)

    @classmethod
    def from_pretrained(cls, model: Pathlike, folder: Pathlike | None = None, **options: Any) -> Recogniser:
        """Fetch a recogniser from the Hugging Face hub. Nothing of it is run, and only files of recognisers are taken.

        Args:
            model (path-like): Its name there, such as ``user/birds``, or a folder on this machine.
            folder (path-like, optional): The folder to copy it to, which must be empty or not exist. Without one it is
                read from the cache of huggingface_hub, and refuses changes.
            options (dict): ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only``, as
                huggingface_hub has them.

        Raises:
            InputError: There is no such model, it is no recogniser, or the folder is taken.
            LowshotError: The hub cannot be reached.
        """
        from lowshot.recogniser.hub import from_pretrained

        return from_pretrained(cls, model, folder, **options)

    def save_pretrained(self, folder: Pathlike, *, thumbnails: bool = True, history: bool = False) -> None:
        """Write the copy that :meth:`push_to_hub` uploads.

        Args:
            folder (path-like): The folder, which must be empty or not exist.
            thumbnails (bool): False leaves out the small pictures of the photos.
            history (bool): True keeps the states before and the photos that were removed since.

        Raises:
            InputError: There is something in the folder.
        """
        from lowshot.recogniser.hub import save_pretrained

        save_pretrained(self, folder, thumbnails, history)

    def push_to_hub(
        self, repo_id: str, *, thumbnails: bool = True, history: bool = False, private: bool = True, **options: Any
    ) -> str:
        """Upload the recogniser to the Hugging Face hub, with features, names and small pictures of its photos.

        Args:
            repo_id (str): Its name there, such as ``user/birds``.
            thumbnails (bool): False leaves out the small pictures of the photos.
            history (bool): True shares the states before and the photos that were removed since.
            private (bool): False makes a new model public.
            options (dict): ``commit_message``, ``token``, ``branch`` and ``create_pr``, as huggingface_hub has them.

        Returns:
            The address of the upload.

        Raises:
            InputError: The name is not possible, or the recogniser knows no class.
            LowshotError: The hub cannot be reached, or refuses.
        """
        from lowshot.recogniser.hub import push_to_hub

        return push_to_hub(self, repo_id, thumbnails, history, private=private, **options)

    @property
    def network(self) -> Network:
        """The network, which is loaded on first use."""
        if self._network is None:
            self._network = Network(self.state.backbone, self.folder)
        return self._network

    def __repr__(self) -> str:
        return f"<Recogniser {self.folder}: {len(self.examples.rows)} photos, {len(self.classes)} classes>"

    def require_classes(self) -> None:
        """Check that the recogniser knows a class.

        Raises:
            InputError: It knows none.
        """
        self._ready()

    def _ready(self) -> Model:
        if self._synced.model is None:
            raise InputError(f"recogniser {self.folder} knows no class yet: lowshot teach {self.folder} PHOTOS")
        return self._synced.model

    def _see(self, photos: Sequence[tuple[str, Photo]], title: str) -> list[tuple[str, Seen]]:
        found = []
        with progress(title, len(photos)) as tick:
            stream = self.network.see((photo for _, photo in photos), details=True)
            for (name, _), one in zip(photos, stream):
                found.append((name, one))
                tick(1)
        return found
