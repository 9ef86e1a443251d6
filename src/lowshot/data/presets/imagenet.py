"""The preset for photographs of any size, as ImageNet networks are trained and tested."""

from __future__ import annotations

from collections.abc import Sequence

from torchvision.transforms import v2

from lowshot.checks import check_count
from lowshot.data.transforms import MOST_SIDE, PRESETS, Normalize, Transforms, check_augmentation

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@PRESETS.register("imagenet", "random resized crop, colour jitter, flip; tested on the central crop")
def imagenet(
    image_size: int = 224,
    resize: int | None = None,
    scale: Sequence[float] = (0.08, 1.0),
    jitter: float = 0.4,
    flip: bool = True,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Transforms:
    """Make the transforms of Hariharan & Girshick (arXiv 1606.02819).

    Training images are crops of random area and shape, jittered and flipped; test images are resized to 256 and cropped
    to the central 224 pixels.

    Args:
        image_size (int): The side of the crops in pixels.
        resize (int or None): The shorter side before the central crop; None takes 256/224 of ``image_size``.
        scale (two float): The smallest and largest area of the random crop, as a fraction of the image.
        jitter (float): The strength of changes to brightness, contrast and saturation, 0 for none.
        flip (bool): True mirrors half of the training images; False is for images whose mirror image means something
            else, such as characters.
        mean (three float): The mean of each channel, on the 0..1 scale.
        std (three float): The standard deviation of each channel, on the 0..1 scale.

    Raises:
        InputError: A value is out of range.
    """
    train = augmentation((image_size, image_size), scale, jitter, flip)
    # On uint8 tensors: torchvision resizes them about three times as fast as PIL images.
    shorter = round(image_size * 256 / 224) if resize is None else check_count("resize", resize, most=2 * MOST_SIDE)
    test = [v2.PILToTensor(), v2.Resize(shorter, antialias=True), v2.CenterCrop(image_size)]
    return Transforms(train, v2.Compose(test), Normalize(mean, std))


def augmentation(size: tuple[int, int], scale: Sequence[float], jitter: float, flip: bool) -> v2.Transform:
    """Make the augmentation of training images.

    Args:
        size (two int): The height and width of the result in pixels.
        scale (two float): The smallest and largest area of the random crop, as a fraction of the image.
        jitter (float): The strength of changes to brightness, contrast and saturation, 0 for none.
        flip (bool): True mirrors half of the images.

    Raises:
        InputError: A value is out of range.
    """
    check_augmentation(scale, jitter)
    train: list[v2.Transform] = [v2.PILToTensor(), v2.RandomResizedCrop(size, tuple(scale), antialias=True)]
    if jitter:
        train.append(v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter))
    if flip:
        train.append(v2.RandomHorizontalFlip())
    return v2.Compose(train)
