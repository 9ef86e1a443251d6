"""Objectives of a training, one number at a time, from their papers."""

from __future__ import annotations

import math


def cosine_scores(features, weight, scale):
    """Gidaris & Komodakis 2018, equation 3: scale times the cosine of the angle."""

    def length(vector):
        return math.sqrt(sum(value * value for value in vector))

    return [
        [scale * sum(a * b for a, b in zip(phi, row)) / (length(phi) * length(row)) for row in weight]
        for phi in features
    ]


def softmax(row, temperature=1.0):
    top = max(row)
    exponentials = [math.exp((value - top) / temperature) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def cross_entropy(scores, targets):
    """The mean over examples of −Σ y log p for targets that are distributions."""
    total = 0.0
    for row, target in zip(scores, targets):
        total -= sum(y * math.log(p) for y, p in zip(target, softmax(row)) if y)
    return total / len(scores)


def smoothed(label, epsilon, classes, num_classes):
    """Szegedy et al. 2016, section 7, with the uniform distribution over some of the classes."""
    return [
        (1 - epsilon) * (c == label) + (epsilon / len(classes) if c in classes else 0.0) for c in range(num_classes)
    ]


def mixed(values, partner, share):
    """Zhang et al. 2018, equation 1; values are lists of lists of numbers."""
    return [
        [share * own + (1 - share) * other for own, other in zip(values[n], values[partner[n]])]
        for n in range(len(values))
    ]


def turned(image, turns):
    """An image (rows of pixels) turned counter-clockwise: what was right is on top."""
    for _ in range(turns):
        size = len(image)
        image = [[image[column][size - 1 - row] for column in range(size)] for row in range(size)]
    return image


def distillation(scores, teacher_scores, temperature):
    """Hinton et al. 2015, section 2.1: T² times the mean KL divergence of the softened distributions."""
    total = 0.0
    for row, teacher_row in zip(scores, teacher_scores):
        found, wanted = softmax(row, temperature), softmax(teacher_row, temperature)
        total += sum(q * (math.log(q) - math.log(p)) for q, p in zip(wanted, found))
    return temperature**2 * total / len(scores)


def averages(weights, decay):
    """The exponential average after each of the steps whose weights are given, the first of them being step 0."""
    average, found = weights[0], []
    for step, weight in enumerate(weights[1:], start=1):
        d = min(decay, (1 + step) / (10 + step))
        average = d * average + (1 - d) * weight
        found.append(average)
    return found


def affine_map(angle, shear_x, shear_y, scale_x, scale_y, x, y):
    """Koch et al. 2015, section 3.3: the place in the old image that the place (x, y) of the new one shows."""
    x, y = x / scale_x, y / scale_y
    x, y = x + shear_x * y, y + shear_y * x
    return math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y


def sampled(image, place):
    """Jaderberg et al. 2015, equation 5, for an image (rows of pixels): ``place`` maps (x, y) from the centre.

    A pixel is a square whose middle is at its index + 1/2; outside the image its border goes on.
    """
    height, width = len(image), len(image[0])
    result = []
    for row in range(height):
        result.append([])
        for column in range(width):
            x, y = place(column + 0.5 - width / 2, row + 0.5 - height / 2)
            x = min(max(x + width / 2 - 0.5, 0), width - 1)
            y = min(max(y + height / 2 - 0.5, 0), height - 1)
            total = 0.0
            for n in range(height):
                for m in range(width):
                    total += image[n][m] * max(0, 1 - abs(x - m)) * max(0, 1 - abs(y - n))
            result[-1].append(total)
    return result
