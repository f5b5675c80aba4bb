from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.data import Pixels
from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.model import Generator, GeneratorConfig
from superres.resize import enlarge
from superres.tiling import least_memory
from superres.upscale import Enlarger, find_images, upscale_file, upscale_image


def bicubic(image: Pixels) -> Pixels:
    return enlarge(image, 4)


def noise(height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


def colourful(height: int = 5, width: int = 6) -> Image.Image:
    return Image.fromarray(noise(height, width))


@pytest.fixture
def generator() -> Generator:
    """One that enlarges nearly by bicubic interpolation."""
    torch.manual_seed(0)
    made = Generator(GeneratorConfig(8, 16, 2, residual=True)).eval()
    torch.nn.init.normal_(made.reconstruct.weight, std=0.001)
    return made


@pytest.fixture
def checkpoint(generator: Generator, tmp_path: Path) -> Path:
    Checkpoint(generator, Discriminator(4), ()).save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def upscale(*arguments: object) -> int:
    return main(["upscale", "--threads", "1", *(str(a) for a in arguments)])


# Kinds of images.


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "L"),
        ("L", "L"),
        ("LA", "LA"),
        ("P", "RGB"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("HSV", "RGB"),
    ],
)
def test_every_kind_of_image(mode: str, expected: str) -> None:
    result = upscale_image(Image.new("RGB", (6, 5), (200, 100, 50)).convert(mode), bicubic)
    assert result.mode == expected
    assert result.size == (24, 20)


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([250, 10, 20, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    image.save(tmp_path / "p.png", transparency=1)
    upscale_file(tmp_path / "p.png", tmp_path / "out.png", bicubic)
    with Image.open(tmp_path / "out.png") as result:
        assert result.mode == "RGBA"
        pixels = np.asarray(result)
    assert pixels[16, 2].tolist() == [250, 10, 20, 255]
    assert pixels[:, 24:, 3].max() < 10


def test_transparency_is_enlarged_too() -> None:
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 4:] = 255
    image = Image.new("RGB", (8, 8), (10, 20, 30))
    image.putalpha(Image.fromarray(alpha))
    enlarged = np.asarray(upscale_image(image, bicubic).getchannel("A"))
    assert enlarged[:, :12].max() < 10
    assert enlarged[:, 20:].min() > 245


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 90 degrees clockwise to show
    image = Image.new("RGB", (16, 8), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 4, 8))
    image.save(tmp_path / "a.png", exif=exif)
    assert upscale_file(tmp_path / "a.png", tmp_path / "out.png", bicubic) == (32, 64)
    with Image.open(tmp_path / "out.png") as result:
        assert result.getexif().get(0x0112, 1) == 1  # nothing turns it once more
        pixels = np.asarray(result)
    assert pixels[:12].min() > 245
    assert pixels[20:].max() < 10


def test_the_colour_profile_is_kept(tmp_path: Path) -> None:
    colourful().save(tmp_path / "a.png", icc_profile=b"a profile")
    upscale_file(tmp_path / "a.png", tmp_path / "out.png", bicubic)
    with Image.open(tmp_path / "out.png") as result:
        assert result.info["icc_profile"] == b"a profile"
    colourful().convert("CMYK").save(tmp_path / "ink.jpg", icc_profile=b"of inks")
    upscale_file(tmp_path / "ink.jpg", tmp_path / "out.png", bicubic)
    with Image.open(tmp_path / "out.png") as result:
        assert "icc_profile" not in result.info


def deep_colour() -> bytes:
    """A PNG file with 16 bits a channel, which Pillow reads but does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(2 * (1 + 2 * 6)))
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    whole = io.BytesIO()
    colourful(50, 50).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:2000])
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")
    (tmp_path / "deep-colour.png").write_bytes(deep_colour())
    Image.new("F", (4, 4)).save(tmp_path / "real.tif")
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    for name, reason in (
        ("missing.png", "cannot read"),
        ("text.png", "cannot read"),
        ("cut.png", "cannot read"),
        ("deep.png", "more than 8 bits"),
        ("deep-colour.png", "more than 8 bits"),
        ("real.tif", "more than 8 bits"),
        ("film.gif", "several pictures"),
    ):
        with pytest.raises(UserError, match=f"{name}.*{reason}|{reason}.*{name}"):
            upscale_file(tmp_path / name, tmp_path / "out.png", bicubic)
    assert not list(tmp_path.glob("out*"))


# Files and folders.


def test_folders_become_folders(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt", ".hidden.png", "sub/deep/c.webp", ".git/d.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = find_images([tmp_path / "in"], tmp_path / "out")
    targets = [str(task.target.relative_to(tmp_path / "out")) for task in found]
    assert targets == ["a.png", "b.png", "sub/deep/c.png"]
    # The results of an earlier run in a folder below are not enlarged once more.
    (tmp_path / "in" / "sub" / "z.png").touch()
    assert len(find_images([tmp_path / "in"], tmp_path / "in" / "sub")) == 2
    # A folder that contains the input is no such thing.
    assert len(find_images([tmp_path / "in" / "sub"], tmp_path / "in")) == 2


def test_no_image_of_the_users_is_replaced(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).touch()
    for named in ([tmp_path / "a.png"], [tmp_path]):
        with pytest.raises(UserError, match=r"a\.png would be replaced"):
            find_images(named, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="would be replaced"):
        find_images([tmp_path / "a.png"], tmp_path / "link")
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match="would both become"):
        find_images([tmp_path], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image in"):
        find_images([tmp_path / "empty"], tmp_path / "out")


def test_a_folder_with_a_broken_image(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "broken.png").write_text("no image")
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    for name in ("a.png", "c.png"):
        colourful().save(folder / name)
    assert upscale("--checkpoint", checkpoint, "--out", out, folder) == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["[1/5]", "skip", "[3/5]", "skip", "skip"]
    assert re.fullmatch(r"\[1/5\] .*a\.png  24x20 pixels, .* s", lines[0])
    for line, name in zip(lines[1:], ("broken", "c", "dangling", "loop"), strict=True):
        assert f"{name}.png" in line
    assert printed.err.count("\n") == 1
    for name in ("broken", "dangling", "loop"):
        (folder / f"{name}.png").unlink()
    assert upscale("--checkpoint", checkpoint, "--out", out, folder) == 0


@pytest.mark.parametrize("scale", [2, 8])
def test_the_checkpoint_knows_its_scale(scale: int, tmp_path: Path) -> None:
    config = GeneratorConfig(6, 4, 2, residual=True, scale=scale)
    Checkpoint(Generator(config), Discriminator(4), ()).save(tmp_path / "c")
    colourful(7, 9).save(tmp_path / "photo.png")
    arguments = ["--checkpoint", tmp_path / "c", "--out", tmp_path / "big"]
    assert upscale(*arguments, tmp_path / "photo.png") == 0
    with Image.open(tmp_path / "big" / "photo.png") as image:
        assert np.asarray(image).shape == (7 * scale, 9 * scale, 3)
        pillow = np.asarray(colourful(7, 9).resize(image.size, Image.Resampling.BICUBIC))
        # Pillow and torch have different bicubic kernels; the content is the same.
        assert np.corrcoef(pillow.ravel(), np.asarray(image).ravel())[0, 1] > 0.95


# Memory.

# The peak of a process of its own: what getrusage says of a child includes its parent's pages.
_PEAK = """
import resource, sys
from pathlib import Path
from superres.cli import main
code = main(sys.argv[1:])
try:
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
except (OSError, IndexError):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
print("peak", peak)
sys.exit(code)
"""


def peak(*arguments: object) -> int:
    command = [sys.executable, "-c", _PEAK, "upscale", "--threads", "1"]
    done = subprocess.run(
        [*command, *(str(a) for a in arguments)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def test_memory_stays_within_the_bound(tmp_path: Path) -> None:
    # Few channels and a large scale: much memory, little work.
    generator = Generator(GeneratorConfig(6, 4, 2, residual=True, scale=8))
    torch.nn.init.normal_(generator.reconstruct.weight, std=0.001)
    Checkpoint(generator, Discriminator(4), ()).save(tmp_path / "checkpoint")
    Image.fromarray(noise(170, 180, 4)).save(tmp_path / "a.png")
    arguments = ["--checkpoint", tmp_path / "checkpoint", tmp_path / "a.png"]
    free = peak(*arguments, "--out", tmp_path / "free")
    bounded = peak(*arguments, "--out", tmp_path / "bound", "--memory", "350 MB")
    assert bounded <= 350e6
    assert free > 1.1 * 350e6
    with Image.open(tmp_path / "free/a.png") as whole, Image.open(tmp_path / "bound/a.png") as cut:
        assert whole.mode == cut.mode == "RGBA"
        assert np.abs(np.asarray(whole).astype(int) - np.asarray(cut)).max() <= 1


@pytest.mark.parametrize("memory", ["1 MB", "1kB"])
def test_a_hopeless_bound_is_told(
    memory: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colourful().save(tmp_path / "a.png")
    arguments = ["--checkpoint", checkpoint, "--out", tmp_path / "out", tmp_path / "a.png"]
    assert upscale(*arguments, "--memory", memory) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(r"a\.png: 6x5 pixels and their enlargement alone need \d+ MB", error)


def test_a_network_too_large_for_the_bound_names_its_need(generator: Generator) -> None:
    enlarger = Enlarger(generator, least_memory(generator.config, 64, 64))
    with pytest.raises(UserError, match=r"this network needs \d+ MB for 64x64 pixels"):
        enlarger(noise(64, 64))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2 GB", 2 * 10**9), ("1.5gb", 15 * 10**8), ("512MiB", 2**29), ("3G", 3 * 10**9)],
)
def test_sizes(text: str, expected: int) -> None:
    from superres.arguments import _bytes

    assert _bytes(text) == expected


@pytest.mark.parametrize("text", ["2", "GB", "-1 GB", "1 PB", "1..5 GB"])
def test_what_is_no_size(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        upscale("--checkpoint", "c", "--out", "o", f"--memory={text}", "a.png")
    assert "not a size" in capsys.readouterr().err
