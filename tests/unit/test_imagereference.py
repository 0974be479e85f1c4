"""References to images: what they mean, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.imagereference import LONGEST, ImageReference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python"),
        ("python:3", "docker.io/library/python:3"),
        ("vantage6/average", "docker.io/vantage6/average"),
        ("index.docker.io/python", "docker.io/library/python"),
        ("localhost/x:1", "localhost/x:1"),
        ("localhost:5000/x", "localhost:5000/x"),
        ("harbor.example.org/a/b__c/d-e:1.2", "harbor.example.org/a/b__c/d-e:1.2"),
        ("[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x"),
        (f"ghcr.io/a/b:1@{DIGEST}", f"ghcr.io/a/b:1@{DIGEST}"),
    ],
)
def test_what_a_reference_leaves_out_is_filled_in(text, full):
    assert str(ImageReference.parse(text)) == full


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a/", "/a", "a:", "a@sha256:1", f"a@{DIGEST}\n", "a\n", "https://a.b/c", "a..b/c/../d",
     "ghcr.io/x?y", "ghcr.io/a:" + "1" * 129, "ghcr.io/" + "a" * 256, "a" * (LONGEST + 1)],
)  # fmt: skip
def test_what_is_none_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match="is not the name of an image"):
        ImageReference.parse(text)


@given(st.text(alphabet="aA0.:/@-_[]sh256 \n%?#", max_size=40) | st.text(max_size=40))
def test_whatever_is_accepted_means_the_same_when_written_out(text):
    try:
        image = ImageReference.parse(text)
    except ValueError:
        return
    assert ImageReference.parse(str(image)) == image
    assert not set("?#% \n") & set(str(image))
    assert ".." not in image.repository


def test_a_digest_takes_the_place_of_a_tag():
    image = ImageReference.parse("ghcr.io/a/b:1")
    assert str(image.pinned(DIGEST)) == f"ghcr.io/a/b@{DIGEST}"
    assert image.which == "1"
    assert image.pinned(DIGEST).which == DIGEST
    assert ImageReference.parse("a").which == "latest"
