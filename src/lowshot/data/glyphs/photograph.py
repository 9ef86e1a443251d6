"""Render one image: a character on a surface, in some light, as a camera sees it.

Characters are drawn at twice the size of the image and then halved, so that thin strokes come out grey, not broken.
Images vary in face, boldness, size, position, rotation, shear, stretch, perspective, neighbours in the line, colours,
contrast, polarity, texture of the surface, direction of the light, shadow, focus and noise.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageFilter

from lowshot.data.glyphs.faces import draw, faces_of

_OVERSAMPLING = 2
_NEIGHBOURS = "ACDEHKLMNRTVXadehknrtuvxz"  # every face has these
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def photograph(character: str, size: int, difficulty: float, rng: np.random.Generator) -> np.ndarray:
    """Render one image.

    Args:
        character (str): The character.
        size (int): The height and width in pixels.
        difficulty (float): The scale of every variation: 0 prints the character plainly, 1 is as hard as a person can
            still read.
        rng (Generator): The only source of chance.

    Returns:
        (size, size, 3) uint8.
    """
    ink = ink_of(character, size, difficulty, rng)[..., None]
    paper, colour = _colours(difficulty, rng)
    contrast = abs(float((colour - paper) @ _LUMA))
    surface = paper + _texture(size, rng) * (0.5 * difficulty * contrast)
    scene = (surface + (colour - surface) * ink) * _light(size, difficulty, rng)[..., None]
    return _camera(scene, difficulty, rng)


def ink_of(character: str, size: int, difficulty: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the ink of an image: the part of each pixel that the character or a neighbour covers.

    The same random state gives the ink of the image that :func:`photograph` renders. Parameters are as there.

    Returns:
        (size, size) float32 in 0..1.
    """
    faces = faces_of(character)
    face = faces[rng.integers(len(faces))]
    large = _OVERSAMPLING * size
    line = _line(character, face, size, rng) if rng.random() < 0.45 * difficulty else _glyph(face, character, size)
    pose = _pose(line.size, large, difficulty, rng)
    seen = line.transform((large, large), Image.Transform.PERSPECTIVE, pose, Image.Resampling.BILINEAR)
    return np.asarray(_embolden(seen, size, difficulty, rng).reduce(_OVERSAMPLING), dtype=np.float32) / 255


@functools.lru_cache(maxsize=1024)
def _glyph(face: str, character: str, size: int) -> Image.Image:
    return draw(face, character, _nominal(size))


def _nominal(size: int) -> int:
    """The length in oversampled pixels of a glyph's longer side before the pose scales it."""
    return round(0.75 * _OVERSAMPLING * size)


def _line(character: str, face: str, size: int, rng: np.random.Generator) -> Image.Image:
    """The character with a neighbour on either side, the character in the middle."""
    glyph = _glyph(face, character, size)
    neighbours = [_glyph(face, _NEIGHBOURS[i], size) for i in rng.integers(len(_NEIGHBOURS), size=2)]
    gap = round(_nominal(size) * (0.12 + 0.15 * rng.random()))
    reach = gap + max(neighbour.width for neighbour in neighbours)
    height = max(glyph.height, *(neighbour.height for neighbour in neighbours))
    line = Image.new("L", (glyph.width + 2 * reach, height))
    line.paste(glyph, (reach, (height - glyph.height) // 2))
    line.paste(neighbours[0], (reach - gap - neighbours[0].width, (height - neighbours[0].height) // 2))
    line.paste(neighbours[1], (reach + glyph.width + gap, (height - neighbours[1].height) // 2))
    return line


def _pose(source: tuple[int, int], large: int, difficulty: float, rng: np.random.Generator) -> tuple[float, ...]:
    """The eight coefficients that map a pixel of the image back to a point of the flat line of ink."""
    u = 2 * rng.random(8) - 1
    scale = (0.95 - 0.17 * difficulty) * math.exp(0.22 * difficulty * u[0])
    angle = math.radians(12 * difficulty * u[1])
    shear, stretch = 0.2 * difficulty * u[2], math.exp(0.1 * difficulty * u[3])
    cosine, sine = math.cos(angle), math.sin(angle)
    lean = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[stretch, shear], [0, 1 / stretch]]) * scale
    plane = np.eye(3)
    plane[:2, :2] = lean
    plane[:2, 2] = 0.08 * difficulty * large * u[4:6]
    plane[2, :2] = 0.3 * difficulty / large * u[6:8]
    into_picture = np.array([[1, 0, large / 2], [0, 1, large / 2], [0, 0, 1]])
    from_source = np.array([[1, 0, -source[0] / 2], [0, 1, -source[1] / 2], [0, 0, 1]])
    back = np.linalg.inv(into_picture @ plane @ from_source)
    return tuple((back / back[2, 2]).ravel()[:8].tolist())


def _embolden(ink: Image.Image, size: int, difficulty: float, rng: np.random.Generator) -> Image.Image:
    """Blur, then threshold at a level: below one half strokes become thicker, above thinner."""
    level = 0.42 + 0.17 * difficulty * (2 * rng.random() - 1)
    blurred = ink.filter(ImageFilter.GaussianBlur(size / 32))
    return blurred.point(_threshold(round(255 * level)))


@functools.cache
def _threshold(level: int) -> list[int]:
    return [min(255, max(0, 128 + 4 * (value - level))) for value in range(256)]


def _colours(difficulty: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paper and ink, each (3,) float32: two colours of any tint, either one the lighter, at least a contrast apart."""
    u = rng.random(9).astype(np.float32)
    contrast = 1 - 0.6 * difficulty * float(u[0])
    dark = (1 - contrast) * float(u[1])
    tints = (u[3:].reshape(2, 3) - 0.5) * (0.6 * difficulty)
    tints -= (tints @ _LUMA)[:, None]
    low, high = np.clip(tints + np.array([[dark], [dark + contrast]], dtype=np.float32), 0, 1)
    return (low, high) if u[2] < 0.5 else (high, low)


def _texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Blotches, stripes, an edge between two tones, or grain: (size, size, 3) float32 within about ±1."""
    kind = rng.integers(4)
    tint = (1 + 0.5 * (rng.random(3) - 0.5)).astype(np.float32)
    if kind == 0:
        pattern = _blotches(int(rng.integers(3, 7)), size, rng)
    elif kind == 1:
        pattern = np.sin(_across(size, rng) * (math.pi * rng.uniform(3, 12)))
    elif kind == 2:
        pattern = np.clip((_across(size, rng) - rng.uniform(-0.6, 0.6)) * size / 2, -1, 1)
    else:
        pattern = _blotches(size // 2, size, rng)
    return pattern[..., None] * tint


def _blotches(cells: int, size: int, rng: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(2 * rng.random((cells, cells), dtype=np.float32) - 1)
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def _across(size: int, rng: np.random.Generator) -> np.ndarray:
    """The distance from the centre along a random direction, ±1 at the edges: (size, size) float32."""
    angle = 2 * math.pi * rng.random()
    along = np.linspace(-1, 1, size, dtype=np.float32)
    return math.cos(angle) * along[None, :] + math.sin(angle) * along[:, None]


def _light(size: int, difficulty: float, rng: np.random.Generator) -> np.ndarray:
    """Light that is brighter on one side, sometimes with the edge of a shadow: (size, size) float32 around 1."""
    light = 1 + 0.35 * difficulty * rng.random(dtype=np.float32) * _across(size, rng)
    if rng.random() < 0.25 * difficulty:
        edge = np.clip((_across(size, rng) - rng.uniform(-0.5, 0.5)) * size / 4 + 0.5, 0, 1)
        light *= 1 - rng.uniform(0.2, 0.5) * edge
    return light


def _camera(scene: np.ndarray, difficulty: float, rng: np.random.Generator) -> np.ndarray:
    """The scene out of focus and with noise, as uint8."""
    size = len(scene)
    sharp = Image.fromarray((np.clip(scene, 0, 1) * 255).astype(np.uint8))
    soft = sharp.filter(ImageFilter.GaussianBlur(0.85 * difficulty * rng.random() * size / 32))
    grain = rng.standard_normal(scene.shape, dtype=np.float32) * (17 * difficulty * rng.random())
    return np.clip(np.asarray(soft) + grain + 0.5, 0, 255).astype(np.uint8)
