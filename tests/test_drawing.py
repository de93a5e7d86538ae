"""Pictures: what stands in them can be read."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection

from zoo.drawing import draw_images
from zoo.text.drawing import draw_surprise

TITLES = (
    "cat",
    "$_$\n(is T-shirt/top)",
    "a very long name of a folder with pictures\n(is a_name_without_any_blank_to_break)",
)


@pytest.mark.parametrize("count", [1, 2, 6, 8])
@pytest.mark.parametrize("size", [(3, 12, 12), (1, 8, 20), (1, 20, 8)])
def test_titles_stand_above_their_images_and_nothing_is_cut_off(count: int, size: tuple[int, int, int]) -> None:
    titles = [TITLES[place % 3] for place in range(count)]
    figure = draw_images(torch.zeros(count, *size, dtype=torch.uint8), titles, "Mistakes")
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    images = [image.get_window_extent() for image in axes.images]
    texts = [text.get_window_extent() for text in axes.texts]
    assert ["".join(text.get_text().split()) for text in axes.texts] == ["".join(title.split()) for title in titles]
    assert len(images) == count
    heading = figure.texts[0].get_window_extent()
    for place, (image, text) in enumerate(zip(images, texts, strict=True)):
        assert image.width / image.height == pytest.approx(size[2] / size[1], rel=0.02)
        assert image.y1 < text.y0 < image.y1 + 12
        assert text.y1 < heading.y0
        assert abs(text.x0 + text.x1 - image.x0 - image.x1) < 4
        assert text.x0 >= 0
        assert text.x1 <= figure.bbox.width
        assert image.y0 >= 0
        if place >= 6:
            assert text.y1 < images[place - 6].y0
        if place % 6:
            assert texts[place - 1].x1 < text.x0


def test_every_character_of_a_text_but_blanks_is_drawn_once() -> None:
    tokens = ["once", " upon\n", "a_time", "$"]
    (axes,) = draw_surprise(tokens, torch.arange(4.0)).axes
    letters = [drawn for drawn in axes.collections if isinstance(drawn, PathCollection)]
    drawn = sum(len(np.asarray(letter.get_offsets())) for letter in letters)
    assert drawn == len("onceupona_time$")
