"""The findings of a check, each with the requests that mend it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from lowshot.recogniser import Recogniser
from lowshot.recogniser.findings import Finding, check_recogniser
from lowshot.server.schemas import Accuracy, CheckBody, FindingBody, Fix

_ADVICE = {
    "wrong label": "look at the photo, and move it if it is the other class",
    "two classes": "forget it in the class that it does not belong to",
    "duplicate": "forget one of them: a picture that is taught twice counts twice",
}


def checked(recogniser: Recogniser) -> CheckBody:
    """Check the photos of a recogniser.

    Raises:
        InputError: It knows no class.
    """
    report, estimate = check_recogniser(recogniser), recogniser.state.estimate
    accuracy = None
    if estimate is not None:
        value, low, high = (round(share, 4) for share in (estimate.accuracy, estimate.low, estimate.high))
        accuracy = Accuracy(value=value, low=low, high=high, n=estimate.shots)
    return CheckBody(
        state=recogniser.state.number,
        findings=[_body(finding) for finding in report.findings],
        accuracy=accuracy,
        not_checked=[reason.partition(" (lowshot check")[0] for reason in report.not_checked],
    )


def _body(finding: Finding) -> FindingBody:
    return FindingBody(
        kind=finding.kind,
        photos=list(finding.photos),
        digests=list(finding.digests),
        classes=list(finding.classes),
        text=finding.text,
        advice=_ADVICE.get(finding.kind, finding.fix),
        fixes=list(_fixes(finding)),
    )


def _fixes(finding: Finding) -> Iterator[Fix]:
    places = [
        (name.split("/", 1)[0], name.split("/", 1)[1], digest) for name, digest in zip(finding.photos, finding.digests)
    ]
    if finding.kind == "wrong label":
        (own, _, digest), other = places[0], finding.classes[1]
        yield Fix(label=f"Move to {other}", method="PATCH", path=photo_path(own, digest), body={"class": other})
        yield Fix(label="Forget the photo", method="DELETE", path=photo_path(own, digest), body=None)
    elif finding.kind == "two classes":
        for own in dict.fromkeys(place[0] for place in places):
            digest = next(place[2] for place in places if place[0] == own)
            yield Fix(label=f"Forget it in {own}", method="DELETE", path=photo_path(own, digest), body=None)
    elif finding.kind == "duplicate":
        own, file, digest = places[-1]
        yield Fix(label=f"Forget {file}", method="DELETE", path=photo_path(own, digest), body=None)
    elif finding.kind == "poor picture" and places:
        own, _, digest = places[0]
        yield Fix(label="Forget the photo", method="DELETE", path=photo_path(own, digest), body=None)


def photo_path(name: str, digest: str) -> str:
    """The address of a taught photo."""
    return f"/classes/{quote(name, safe='')}/photos/{digest}"
