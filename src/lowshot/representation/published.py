"""Files of published weights: found in the caches of the libraries, or else fetched from a hub that answers.

What is in a cache is used without any connection. A hub is asked only for what is not there, and it has a few seconds
to answer, since a machine without a connection should say so at once and not after a minute of retries.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lowshot.errors import InputError, LowshotError
from lowshot.files import is_file
from lowshot.progress import say

PATIENCE = 4.0
"""Seconds that a hub has to answer before it counts as out of reach; HF_HUB_ETAG_TIMEOUT, if set, replaces it."""

EMBEDDED = "the backbone efficientnet_lite0, whose weights are installed with lowshot"

_HASH = re.compile(r"-([a-f0-9]+)\.")


def hub_file(model: str, repository: str, names: Sequence[str], revision: str | None = None) -> Path:
    """Find a file of a repository on the Hugging Face hub, in the cache or on the hub.

    Args:
        model (str): The name of the model in messages.
        repository (str): The repository, such as ``"timm/resnet18.a1_in1k"``.
        names (sequence of str): The names that the file may have, best first.
        revision (str or None): The revision; None takes the newest that is there.

    Raises:
        InputError: There is no such repository or file, or access to it is refused.
        LowshotError: The file is not in the cache, and the hub does not answer.
    """
    import huggingface_hub
    from huggingface_hub import constants

    for name in names:
        if isinstance(found := huggingface_hub.try_to_load_from_cache(repository, name, revision=revision), str):
            return Path(found)
    urls = [huggingface_hub.hf_hub_url(repository, name, revision=revision) for name in names]
    advice = _advice(urls[0], _place_in_cache(Path(constants.HF_HUB_CACHE), repository, names[0], revision or "main"))
    if constants.HF_HUB_OFFLINE:
        raise LowshotError(f"the weights of {model!r} are not in the cache, and HF_HUB_OFFLINE is set. {advice}")
    name = _within_patience(lambda: _first_there(names, urls), model, constants.ENDPOINT, repository, advice)
    say(f"fetching the weights of {model!r} from {constants.ENDPOINT}/{repository}", style="dim")
    try:
        return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision, etag_timeout=patience()))
    except Exception as error:  # downloads fail with errors of several libraries
        raise LowshotError(f"the weights of {model!r} could not be fetched: {_short(error)}. {advice}") from error


def url_file(model: str, url: str) -> Path:
    """Find a file that torchvision or timm publishes under an address, in torch's cache or at that address.

    Args:
        model (str): The name of the model in messages.
        url (str): The address. A digest in the name of the file is compared with the content that is fetched.

    Raises:
        InputError: There is no such file, or access to it is refused.
        LowshotError: The file is not in the cache, and the server does not answer or the content is another one.
    """
    from urllib.parse import urlparse
    from urllib.request import Request, urlopen

    import torch

    name = os.path.basename(urlparse(url).path)
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if is_file(path):
        return path
    advice = _advice(url, path)
    server = "{0.scheme}://{0.netloc}".format(urlparse(url))

    def ask() -> None:
        with urlopen(Request(url, method="HEAD"), timeout=patience()):
            pass

    _within_patience(ask, model, server, url, advice)
    say(f"fetching the weights of {model!r} from {url}", style="dim")
    digest = _HASH.search(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None, progress=False)
    except Exception as error:  # of the network, the disk, or a digest that is another one
        raise LowshotError(f"the weights of {model!r} could not be fetched: {_short(error)}. {advice}") from error
    return path


def patience() -> float:
    """The seconds that a hub has to answer."""
    own = os.environ.get("HF_HUB_ETAG_TIMEOUT", "")
    return float(own) if own.isdigit() else PATIENCE


def _first_there(names: Sequence[str], urls: Sequence[str]) -> str:
    """The first of some names under which the hub has a file."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    for name, url in zip(names, urls):
        try:
            huggingface_hub.get_hf_file_metadata(url, timeout=patience(), token=huggingface_hub.get_token())
        except EntryNotFoundError:
            if name == names[-1]:
                raise
        else:
            return name
    raise AssertionError


def _within_patience(ask: Callable[[], Any], model: str, server: str, place: str, advice: str) -> Any:
    """Ask a server, and give up when it does not answer in time: looking a name up has no time limit of its own."""
    answer: list[Any] = []
    failure: list[Exception] = []

    def call() -> None:
        try:
            answer.append(ask())
        except Exception as error:  # every library has its own errors
            failure.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(patience())
    if answer:
        return answer[0]
    if not failure:
        raise LowshotError(
            f"the weights of {model!r} are not in the cache, and {server} does not answer within {patience():g} s. "
            f"{advice}"
        )
    _explain(failure[0], model, server, place, advice)


def _explain(error: Exception, model: str, server: str, place: str, advice: str) -> NoReturn:
    """Turn the refusal of a server, or its silence, into an error that says what to do."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "code", None)
    if status in (401, 403):
        raise InputError(
            f"{server} refuses the weights of {model!r} ({place}, status {status}): it is gated, private, or does not "
            f"exist. Accept its licence on {server}/{place} and log in (`hf auth login`, or set HF_TOKEN), or take "
            f"{EMBEDDED}"
        ) from error
    if status == 404:
        raise InputError(
            f"{server} has no weights of {model!r} ({place}, status 404): choose another model, give a file "
            f"(pretrained: FILE), or take {EMBEDDED}"
        ) from error
    if status is not None:
        raise LowshotError(f"{server} has failed on the weights of {model!r} (status {status}). {advice}") from error
    raise LowshotError(
        f"the weights of {model!r} are not in the cache, and {server} does not answer ({_short(error)}). {advice}"
    ) from error


def _advice(url: str, path: Path) -> str:
    return (
        f"Fetch {url} where there is a connection and put it at {path}, or name its file (pretrained: FILE); "
        f"or take {EMBEDDED}"
    )


def _place_in_cache(cache: Path, repository: str, name: str, revision: str) -> Path:
    """The place where the hub's cache looks for a file of a repository."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    known = folder / "refs" / revision
    commit = known.read_text("utf-8").strip() if is_file(known) else revision
    return folder / "snapshots" / commit / name


def _short(error: Exception) -> str:
    """The first line of an error, at most 150 characters of it."""
    text = " ".join((str(error).splitlines() or [""])[0].split())
    return f"{type(error).__name__}: {text[:150]}" if text else type(error).__name__
