"""Matching networks one example, one gate and one query at a time, in numpy (Vinyals et al. 2016, section 2.1)."""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """One step; torch's order of the gates: input, forget, cell, output."""
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def run_lstm(sequence, w_ih, w_hh, b_ih, b_hh):
    h = c = np.zeros(w_hh.shape[1])
    states = []
    for x in sequence:
        h, c = lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh)
        states.append(h)
    return np.array(states)


def scores(weights, support, labels, queries, n_classes, n_steps, contextual=True):
    """(Q, C) logarithms of the attention each class gets, from the arrays of a network's state."""

    def gates(prefix, suffix=""):
        return [weights[f"{prefix}.{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    if contextual:
        forward = run_lstm(support, *gates("support_lstm", "_l0"))
        backward = run_lstm(support[::-1], *gates("support_lstm", "_l0_reverse"))[::-1]
        encoded = support + forward + backward
    else:
        encoded = support @ weights["embedding.weight"].T
    table = np.zeros((len(queries), n_classes))
    for row, f in enumerate(queries):
        if contextual:
            h, c = f, np.zeros_like(f)
            for _ in range(n_steps):
                read = softmax(encoded @ h) @ encoded
                h, c = lstm_step(np.concatenate([f, read]), h, c, *gates("query_lstm"))
                h = h + f
        else:
            h = weights["embedding.weight"] @ f
        attention = softmax(np.array([h @ g / np.linalg.norm(g) for g in encoded]))
        for k in range(n_classes):
            table[row, k] = np.log(attention[labels == k].sum())
    return table


def original_support(base_classes, chosen, shots, n_shots):
    """The rows of a test's support set in the order in which the original's encoder reads them.

    ``chosen`` has the rows drawn of each base class, ``shots`` the rows of all shots of all novel classes.
    """
    order = []
    for c in base_classes:
        order += sorted(int(row) for row in chosen[c][:100])
    repetitions = 0
    while repetitions * n_shots < 100:
        order += sorted(int(row) for row in shots)
        repetitions += 1
    return order
