"""Darknet's configuration files: what is read is what was written, and what the classes change."""

import pytest

from components.errors import DataError
from components.vision.detection import cfg, networks


@pytest.mark.parametrize("name", sorted(networks.NETWORKS))
def test_a_network_survives_being_written_and_read(name):
    sections = networks.NETWORKS[name]()
    assert cfg.parse(cfg.write(sections)) == sections


def test_comments_blank_lines_and_spaces_mean_nothing():
    text = "# a comment\n\n[net]\n width = 416\n;another\n[yolo]\nmask= 0, 1\n"
    net, yolo = cfg.parse(text)
    assert net.integer("width") == 416 and yolo.numbers("mask") == [0, 1]


@pytest.mark.parametrize(("classes", "filters"), [(1, 18), (2, 21), (80, 255)])
@pytest.mark.parametrize("name", sorted(networks.NETWORKS))
def test_filters_before_each_head_follow_the_classes(name, classes, filters):
    sections = cfg.adapted(networks.NETWORKS[name](), classes)
    heads = [n for n, s in enumerate(sections) if s.kind == "yolo"]
    assert {sections[n - 1].integer("filters") for n in heads} == {filters}
    assert {sections[n].integer("classes") for n in heads} == {classes}


@pytest.mark.parametrize(
    ("classes", "pictures", "expected"), [(1, 500, 6000), (5, 500, 10_000), (1, 21_000, 21_000), (3, 6001, 6001)]
)
def test_the_number_of_iterations_follows_darknets_rule(classes, pictures, expected):
    assert cfg.iterations_for(classes, pictures) == expected


def test_anchors_and_options_are_replaced_everywhere():
    shapes = [(1.5, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12)]
    sections = cfg.adapted(networks.tiny(), 1, shapes, {"width": 96, "steps": [80, 90]}, {"jitter": 0.2})
    assert sections[0].integer("width") == 96 and sections[0].numbers("steps") == [80, 90]
    heads = [s for s in sections if s.kind == "yolo"]
    assert [s.numbers("anchors")[:4] for s in heads] == [[1.5, 2, 3, 4]] * 2
    assert [s.number("jitter") for s in heads] == [0.2, 0.2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not begin with"),
        ("[convolutional]\nfilters=3", "does not begin with"),
        ("width=3", "line 1"),
        ("[net]\nwidth", "line 2: 'width'"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_line(text, words):
    with pytest.raises(DataError, match=words):
        cfg.parse(text)


def test_an_option_that_is_no_number_is_named():
    with pytest.raises(DataError, match="size=big"):
        cfg.parse("[net]\nsize=big")[0].integer("size")
    with pytest.raises(DataError, match="no size"):
        cfg.parse("[net]\nwidth=3")[0].integer("size")
