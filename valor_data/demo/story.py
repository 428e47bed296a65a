"""The demo's story: footage, a server, the real chain step by step, and what to type next."""

import csv
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from valor_data import chain, layout
from valor_data import recipe as recipes
from valor_data.cli import rows, show
from valor_data.demo.footage import make_footage, make_list
from valor_data.demo.server import serve
from valor_data.errors import ItemError, UserError
from valor_data.media.probe import probe
from valor_data.records import Report

_WINDOW_S = 10
_MOST_WINDOWS = 6  # of a long video that nobody captioned
_VIDEO_SUFFIXES = {
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".webm", ".wmv",
}  # fmt: skip
_QUERY = (
    "select split, clip_id, round(loudness_lufs, 1) as lufs, caption from catalog where kept "
    "order by clip_id limit 8"
)

Spans = list[tuple[float, float, str]]
"""(start, end, caption) of a video's clips, seconds; the caption may be empty."""


def tell(folder: str) -> None:
    """Render the footage and run the chain on it."""
    root = _cleared(folder)
    print("Rendering footage: shapes that can only be seen, sounds that can only be heard ...")
    footage = make_footage(root / "footage")
    print(f"  {sum(1 for _ in footage.folder.glob('*.mp4'))} videos in {footage.folder}\n")
    with serve(footage.folder) as base_url:
        listed = make_list(footage, base_url)
        _chain(root, "demo", listed)


def tell_of(media: str, folder: str) -> None:
    """Run the chain on a folder of anybody's videos.

    Captions come from `<name>.txt` beside a video, or from a `captions.csv` with the columns `file`,
    `caption` and, where a caption is of a part only, `start` and `end` in seconds. Raises UserError for a
    folder without videos or a captions.csv that cannot be read.
    """
    source = Path(media)
    if not source.is_dir():
        raise UserError(f"MEDIA={media}: no such folder")
    videos = sorted(path for path in source.rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES)
    if not videos:
        raise UserError(f"MEDIA={media}: no video in it ({' '.join(sorted(_VIDEO_SUFFIXES))})")
    spans = {video: _spans(video, _captions(video)) for video in videos}
    captioned = sum(any(caption for _, _, caption in of_video) for of_video in spans.values())
    root = _cleared(folder)
    print(f"{len(videos)} videos in {source}, {captioned} of them with a caption beside them\n")
    with serve(source) as base_url:
        listed = _write_list(root / "segments.csv", source, base_url, spans)
        _chain(root, "media", listed)


def _cleared(folder: str) -> Path:
    """The demo's folder, without what an earlier demo left: the story is told from its beginning."""
    root = Path(folder)
    if any((root / f"{name}.toml").exists() for name in ("demo", "media")):
        shutil.rmtree(root / "workspace", ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    return root


def _captions(video: Path) -> Spans:
    """What stands beside a video: nothing, `<name>.txt`, or its rows of `captions.csv`."""
    text = video.with_suffix(".txt")
    if text.exists():
        return [(0.0, 0.0, text.read_text(encoding="utf-8").strip())]
    table = video.with_name("captions.csv")
    if not table.exists():
        return []
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"file", "caption"} <= set(reader.fieldnames or ()):
            raise UserError(f"{table}: needs the columns file and caption; has {reader.fieldnames}")
        try:
            return [
                (float(row.get("start") or 0), float(row.get("end") or 0), row["caption"] or "")
                for row in reader
                if row["file"] == video.name
            ]
        except ValueError as error:
            raise UserError(f"{table}:{reader.line_num}: start and end are seconds: {error}") from error


def _spans(video: Path, captions: Spans) -> Spans:
    """The clips of a video: its captions' spans, else windows of ten seconds."""
    try:
        seconds = probe(video).duration_ms / 1000
    except ItemError:
        seconds = 0.0  # the chain shall say what is wrong with it
    seconds = seconds or float(_WINDOW_S)
    if captions:
        return [(start, end or seconds, caption) for start, end, caption in captions]
    starts = range(0, max(1, int(seconds // _WINDOW_S) * _WINDOW_S), _WINDOW_S)
    return [(start, min(start + _WINDOW_S, seconds), "") for start in starts[:_MOST_WINDOWS]]


def _write_list(path: Path, source: Path, base_url: str, spans: dict[Path, Spans]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "url", "start", "end", "caption"))
        for video, of_video in spans.items():
            name = video.relative_to(source).as_posix()
            video_id = layout.video_id("file", f"/{name}")
            url = f"{base_url.rstrip('/')}/{quote(name)}"
            for start, end, caption in of_video:
                writer.writerow((video_id, url, f"{start:.3f}", f"{end:.3f}", caption))
    return path


def _chain(root: Path, name: str, listed: Path) -> None:
    """The steps that a user would type on the shipped recipe `name`, each with its result."""
    recipe_path = root / f"{name}.toml"
    text = layout.asset("pipelines", recipe_path.name).read_text(encoding="utf-8")
    path = listed.relative_to(root).as_posix()
    recipe_path.write_text(text.replace('"segments.csv"', f'"{path}"'), encoding="utf-8")
    recipe = recipes.load(str(recipe_path))
    workspace = str(root / "workspace")
    options = chain.Options(workspace=workspace)
    _step("fetch", recipe_path, lambda: chain.fetch(recipe, options))
    _step("filter", recipe_path, lambda: chain.filter(recipe, options))
    _step("catalog build", recipe_path, lambda: chain.catalog_build(recipe, options))
    made = _step("shard", recipe_path, lambda: chain.shard(recipe, options))
    release = str(Path(workspace, made.outputs[-1]))
    _step("release verify", Path(release), lambda: chain.verify(release))
    _step("status", recipe_path, lambda: chain.status(recipe, options))
    _say("catalog sql", _QUERY, "--workspace", workspace)
    rows.show(chain.sql(_QUERY, workspace), as_json=False, as_csv=False)
    _next(recipe_path, workspace, release)


def _step(command: str, argument: Path, do: Callable[[], Report]) -> Report:
    _say(command, str(argument))
    report = do()
    show.report(report, as_json=False)
    print()
    return report


def _say(command: str, *arguments: str) -> None:
    print(f"$ valor-data {command} {_shell(arguments)}")


def _next(recipe_path: Path, workspace: str, release: str) -> None:
    example = 'import webdataset; print(next(iter(webdataset.WebDataset("%s"))).keys())'
    shard = min(Path(release).glob("*/*.tar"), default=Path(release))
    print("\nType next (the programs are in .venv/bin):")
    print(f"  valor-data catalog sql {shlex.quote('select * from reasons')} --workspace {workspace}")
    print(f"  valor-data filter {recipe_path} --decide-only   # after you change a rule in it")
    print(f"  python -c {shlex.quote(example % shard)}")
    print("  make demo MEDIA=<folder of your own videos>")
    print("  valor-data init my-dataset")


def _shell(arguments: Sequence[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)
