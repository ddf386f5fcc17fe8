"""``make test-image-twice``: the image for CPUs, built twice from nothing, has the same files."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fresh"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testing"))

from checks import podman
from container import base_image, podman_settings
from gemma4_testing.deploy.image_layers import Image, differences, read_image
from images import ROOT, build, megabytes

EPOCH = "1767225600"
"""What deploy/docker/Dockerfile.cpu has as SOURCE_DATE_EPOCH; the times of all files and of the
image, which are the builder's business."""
MOST_LINES = 200


def snapshot(folder: Path) -> Path:
    """A copy of the checkout, which may change while the images are built."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def built(turn: str, base: str, target: str, context: Path, folder: Path) -> Image:
    """Built without podman's cache, read, and removed again."""
    began = time.monotonic()
    name = f"localhost/gemma4-twice-{target}:{turn}"
    build(base, context / "deploy/docker/Dockerfile.cpu", target, context, name,
          "--no-cache", "--layers=false", f"--timestamp={EPOCH}")  # fmt: skip
    seconds, size = time.monotonic() - began, megabytes(name)
    digest = podman("image", "inspect", "--format={{.Id}}", name).stdout.strip()
    archive = folder / "image.tar"
    try:
        subprocess.run(["podman", "save", "--quiet", f"--output={archive}", name], check=True)
        image = read_image(archive)
    finally:
        archive.unlink(missing_ok=True)
        podman("rmi", "--force", name)
    files = sum(len(layer) for layer in image.layers)
    print(f"{turn}: {size:.0f} MB, {files} files in {len(image.layers)} layers, built in "
          f"{seconds:.0f} s, {digest}", flush=True)  # fmt: skip
    return image


def main() -> int:
    """Exit status 0 when the two are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="bookworm", help="a release of Debian, or an image")
    parser.add_argument("--target", default="serve", choices=("serve", "load"))
    options = parser.parse_args()
    podman_settings()
    base = base_image(options.base)
    with tempfile.TemporaryDirectory() as folder:
        context = snapshot(Path(folder) / "checkout")
        first, second = (
            built(turn, base, options.target, context, Path(folder)) for turn in ("first", "second")
        )
    found = differences(first, second)
    print("\n".join(found[:MOST_LINES]) or "the two are the same")
    if found:
        print(f"{len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
