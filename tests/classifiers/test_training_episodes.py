from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers.training_episodes import EpisodeSampler, distinct


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    n_way=st.none() | st.integers(1, 8),
    least=st.integers(1, 3),
    more=st.integers(0, 3),
    n_queries=st.integers(1, 3),
    number=st.integers(0, 5),
    seed=st.integers(0, 3),
)
def test_an_episode_is_what_it_says(sizes, n_way, least, more, n_queries, number, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    sampler = EpisodeSampler(codes, n_way=n_way, n_shots=(least, least + more), n_queries=n_queries, seed=seed)
    support, counts, queries, targets = sampler.draw(number)

    usable = [c for c, size in enumerate(sizes) if size >= 2]
    assert len(counts) == sampler.n_way == min(n_way or len(usable), len(usable))
    assert len(set(support) | set(queries)) == len(support) + len(queries)  # no row twice, no query in the support
    owners = np.split(codes[support], np.cumsum(counts)[:-1]) if len(counts) else []
    classes = [set(own) for own in owners]
    assert all(len(own) == 1 for own in classes)  # class after class
    assert len(set.union(set(), *classes)) == len(counts)  # each class once
    for place, own in enumerate(classes):
        size = sizes[own.pop()]
        asked = (targets == place).sum()
        assert set(codes[queries[targets == place]]) == set(owners[place])
        assert asked == min(n_queries, size - 1)
        assert min(least, size - asked) <= counts[place] <= min(least + more, size - asked)


def test_shots_of_all_allowed_counts_occur_and_class_order_changes():
    codes = np.repeat(np.arange(3), 30)
    sampler = EpisodeSampler(codes, n_way=None, n_shots=(1, 10), n_queries=1, seed=0)
    episodes = [sampler.draw(n) for n in range(100)]
    assert {int(n) for episode in episodes for n in episode.counts} == set(range(1, 11))
    assert len({tuple(codes[episode.queries]) for episode in episodes}) == 6


def test_an_episode_depends_on_seed_and_number_alone():
    codes = np.repeat(np.arange(4), 9)

    def sampler(seed):
        return EpisodeSampler(codes, n_way=2, n_shots=(1, 3), n_queries=2, seed=seed)

    late_first = sampler(0).draw(7)
    used = sampler(0)
    used.draw(3)
    assert all(np.array_equal(a, b) for a, b in zip(used.draw(7), late_first))
    assert not np.array_equal(sampler(1).draw(7).queries, late_first.queries)


def test_episodes_alike_have_the_same_shots_place_by_place_and_classes_of_their_own():
    codes = np.repeat(np.arange(12), 30)
    sampler = EpisodeSampler(codes, n_way=8, n_shots=(1, 10), n_queries=2, seed=0)
    first, other = sampler.draw(3), sampler.draw(4, alike=3)
    assert np.array_equal(first.counts, other.counts)
    assert not np.array_equal(first.counts, sampler.draw(4).counts)
    assert np.array_equal(codes[other.queries], codes[sampler.draw(4).queries])  # the classes of any episode 4
    assert all(np.array_equal(a, b) for a, b in zip(first, sampler.draw(3, alike=3)))


def test_every_ordered_choice_is_equally_likely():
    drawn = distinct(np.random.default_rng(0), np.full(12_000, 4), 2)
    counts = Counter(map(tuple, drawn.tolist()))
    assert len(counts) == 12
    assert max(abs(n - 1000) for n in counts.values()) < 150  # five standard deviations


def test_small_classes_give_all_they_have():
    drawn = distinct(np.random.default_rng(0), np.array([1, 2, 3]), 3)
    assert drawn[0].tolist() == [0, 0, 0]
    assert sorted(drawn[1, :2].tolist()) == [0, 1]
    assert sorted(drawn[2].tolist()) == [0, 1, 2]
