"""The ordinary run tries every pair of values once, the one of everything each combination."""

import itertools

from tests.server.ways import DIMENSIONS, EACH_RELEASE, EVERY, PAIRWISE


def test_every_pair_of_values_of_two_dimensions_is_in_an_ordinary_way():
    for one, other in itertools.combinations(range(len(DIMENSIONS)), 2):
        wanted = set(itertools.product(DIMENSIONS[one], DIMENSIONS[other]))
        assert {(kind[one], kind[other]) for kind in PAIRWISE} == wanted


def test_no_way_is_left_out_of_everything_and_no_ordinary_one_can_be_spared():
    assert len(set(EVERY)) == 12
    assert len(PAIRWISE) == len(set(PAIRWISE)) == len(DIMENSIONS[0]) * len(DIMENSIONS[1])
    assert set(PAIRWISE) < set(EVERY)


def test_where_a_release_is_tried_once_every_transport_and_kind_of_collaboration_is_tried_too():
    assert set(EACH_RELEASE) < set(PAIRWISE)
    assert len(EACH_RELEASE) == len(DIMENSIONS[0])
    assert [{kind[number] for kind in EACH_RELEASE} for number in range(3)] == [set(values) for values in DIMENSIONS]
