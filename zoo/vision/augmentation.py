"""Random changes of training images: one affine warp of the whole batch, on the device, each image by its own draw."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError

# On a CPU so many images are warped at a time that their pixels stay in the cache.
_CHUNK = 8


@dataclass(frozen=True)
class Augmentation:
    """How far training images may be changed; the defaults are those of the notes.

    Units and order are those of Keras' ``ImageDataGenerator``: an image is zoomed, sheared, shifted and rotated about
    its centre, in one bilinear warp that repeats the border pixels outside; then mirrored, then lightened or darkened.

    Args:
        flip: Mirror half of the images left to right.
        shift: Move up to so far each way: below 1 a share of the size, from 1 on whole pixels.
        rotation: Turn by up to so many degrees either way.
        shear: Shear by up to so many degrees.
        zoom: Stretch height and width, each by its own factor, from ``1 - zoom`` to ``1 + zoom``.
        brightness: Multiply all pixels by a factor from ``1 - brightness`` to ``1 + brightness``.

    Raises:
        ZooError: A value makes no sense.
    """

    flip: bool = True
    shift: float = 0.2
    rotation: float = 40.0
    shear: float = 0.2
    zoom: float = 0.2
    brightness: float = 0.0

    def __post_init__(self) -> None:
        for name in ("zoom", "brightness"):
            if not 0 <= getattr(self, name) < 1:
                raise ZooError(f"{name} is {getattr(self, name)}, expected 0 (off) to less than 1")
        for name in ("shift", "rotation", "shear"):
            if getattr(self, name) < 0:
                raise ZooError(f"{name} is {getattr(self, name)}, expected 0 (off) or more")
        if self.shift > 1 and self.shift != int(self.shift):
            raise ZooError(f"shift is {self.shift}, expected a share of the size below 1, or whole pixels")

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return self.flip or any((self.shift, self.rotation, self.shear, self.zoom, self.brightness))

    def __call__(self, images: Tensor) -> Tensor:
        """Changes uint8 images ``(N, C, H, W)``."""
        if self.brightness or self.rotation or self.shear or self.zoom or 0 < self.shift < 1:
            # In bfloat16 the places would be off by up to half a pixel.
            with torch.autocast(images.device.type, enabled=False):
                return self._warp(images)
        return self._move(images)

    def _move(self, images: Tensor) -> Tensor:
        """Mirrors and shifts by whole pixels, exactly: every pixel of the result is one of the image."""
        count, _, height, width = images.shape
        rows = torch.arange(height, device=images.device).expand(count, -1)
        columns = torch.arange(width, device=images.device).expand(count, -1)
        if self.flip:
            mirrored = torch.rand(count, 1, device=images.device) < 0.5
            columns = torch.where(mirrored, width - 1 - columns, columns)
        if self.shift:
            reach = int(self.shift)
            down, right = torch.randint(-reach, reach + 1, (2, count, 1), device=images.device)
            rows, columns = (rows + down).clamp(0, height - 1), (columns + right).clamp(0, width - 1)
        sample = torch.arange(count, device=images.device)[:, None, None]
        return images.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)

    def _warp(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        matrices = self._matrices(count, height, width, images.device)
        factors = 1 + self.brightness * _between(-1, 1, count, images.device)
        y, x = ((2 * torch.arange(size, device=images.device) + 1) / size - 1 for size in (height, width))
        places = torch.stack(
            [x.expand(height, width), y[:, None].expand(height, width), torch.ones_like(x + y[:, None])]
        )
        warped = torch.empty_like(images)
        step = _CHUNK if images.device.type == "cpu" else count
        for start in range(0, count, step):
            part = slice(start, start + step)
            # In this layout one matrix product makes all grids, and grid_sample has a fast path for it.
            grid = (matrices[part].reshape(-1, 3) @ places.view(3, -1)).view(-1, 2, height, width).permute(0, 2, 3, 1)
            pixels = images[part].float()
            pixels = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
            if self.brightness:
                pixels = pixels.mul_(factors[part].view(-1, 1, 1, 1)).clamp_(max=255)
            warped[part] = pixels.add_(0.5)
        return warped

    def _matrices(self, count: int, height: int, width: int, device: torch.device) -> Tensor:
        """Where each place of the result comes from, in coordinates from -1 to 1: ``(N, 2, 3)``."""
        angle = self.rotation * torch.pi / 180 * _between(-1, 1, count, device)
        slant = self.shear * torch.pi / 180 * _between(-1, 1, count, device)
        zoom_x, zoom_y = 1 + self.zoom * _between(-1, 1, (2, count), device)
        move_x, move_y = _between(-1, 1, (2, count), device)
        reach_x, reach_y = (2 * (self.shift if self.shift < 1 else self.shift / size) for size in (width, height))
        mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(angle)
        cosine, sine, aspect = angle.cos(), angle.sin(), height / width
        # Rows: x and y of the source; columns: x, y and 1 of the result. Rotation (shift (shear (zoom (mirror)))).
        sheared_xx, sheared_yx = slant.cos() * zoom_x * mirror, -slant.sin() * zoom_x / aspect * mirror
        matrix = torch.stack(
            [
                torch.stack([cosine * sheared_xx + sine * aspect * sheared_yx, sine * aspect * zoom_y], -1),
                torch.stack([cosine * sheared_yx - sine / aspect * sheared_xx, cosine * zoom_y], -1),
            ],
            1,
        )
        shift_x, shift_y = reach_x * move_x, reach_y * move_y
        moved = torch.stack(
            [cosine * shift_x + sine * aspect * shift_y, cosine * shift_y - sine / aspect * shift_x], -1
        )
        return torch.cat([matrix, moved[:, :, None]], -1)


def _between(low: float, high: float, shape: int | tuple[int, ...], device: torch.device) -> Tensor:
    return low + (high - low) * torch.rand(shape, device=device)
