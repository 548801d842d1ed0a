"""Everything that an audit was told, in one file, so that it can be done again anywhere without a network.

A bundle is a ZIP archive that any tool opens:

    manifest.json      what was asked
    deployment.json    the contracts' addresses
    receipts/…         the merchants' receipts, as they were
    answers/0.json …   the nodes' answers, about a megabyte each: [{"call": …, "result": …} or {"call": …, "error": …}]
    index.json         for each call, in which of these files its answers are, in the order in which they were given

A call is named by the SHA-256 of the number of the node, the method and the parameters. Nothing in a bundle is trusted:
an audit of it proves every answer as if a node had given it.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import deployment
from contracts.errors import ChainError, NodeError, Unavailable, classify
from contracts.rpc import Call
from scripts.audit.evidence import Node
from scripts.audit.options import Options
from scripts.errors import CommandFailed

FORMAT: Final = "points-audit-bundle/1"
_CHUNK: Final = 1 << 20
_CHUNKS_HELD: Final = 24
_LEVEL: Final = 3


class BundleUnusable(CommandFailed):
    """When a file is no bundle, or one that is not whole."""


class _Manifest(msgspec.Struct, frozen=True):
    """`block` is in hexadecimal, None if the nodes were asked for a final one."""

    format: str
    nodes: int
    block: str | None
    sample: int | None
    seed: int
    receipts: bool


class _Error(msgspec.Struct, frozen=True):
    """A node's refusal, or, without a code, no usable answer."""

    message: str
    code: int | None = None
    data: str = ""


class _Answer(msgspec.Struct, frozen=True):
    call: str
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | msgspec.UnsetType = msgspec.UNSET


_ANSWERS: Final = msgspec.json.Decoder(list[_Answer])


class Writer:
    """Grows while an audit asks. The file is whole once `recording` has ended."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._index: dict[str, list[int]] = {}
        self._chunk: list[bytes] = []
        self._size = 0
        self._chunks = 0

    def write(self, answer: _Answer) -> None:
        encoded = msgspec.json.encode(answer)
        self._index.setdefault(answer.call, []).append(self._chunks)
        self._chunk.append(encoded)
        self._size += len(encoded)
        if self._size >= _CHUNK:
            self._end_chunk()

    def close(self) -> None:
        self._end_chunk()
        self._archive.writestr("index.json", msgspec.json.encode(self._index))

    def _end_chunk(self) -> None:
        self._archive.writestr(f"answers/{self._chunks}.json", b"[" + b",\n".join(self._chunk) + b"]")
        self._chunks += 1
        self._chunk, self._size = [], 0


class Recorded:
    """A node whose answers, and refusals, are written down."""

    def __init__(self, node: Node, number: int, writer: Writer) -> None:
        self._node, self._number, self._writer = node, number, writer

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        try:
            results = await self._node.ask(calls)
        except ChainError as error:
            for call in calls:
                self._writer.write(_Answer(_name(self._number, call), error=_written(error)))
            raise
        for call, result in zip(calls, results, strict=True):
            raw = result if isinstance(result, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(result))
            self._writer.write(_Answer(_name(self._number, call), result=raw))
        return results


class Bundle:
    """A node that answers what it was seen to answer. What was asked more than once is answered in the same order."""

    def __init__(self, archive: zipfile.ZipFile, index: dict[str, list[int]], number: int) -> None:
        self._archive, self._index, self._number = archive, index, number
        self._asked: Counter[str] = Counter()
        self._chunk = lru_cache(_CHUNKS_HELD)(self._load)

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        """Raises what the node raised; `Unavailable` for what it was not asked."""
        answers = [self._answer(call) for call in calls]
        for answer in answers:
            if isinstance(answer.error, _Error):
                raise _raised(answer.error)
        return [answer.result for answer in answers]

    def _answer(self, call: Call) -> _Answer:
        name = _name(self._number, call)
        chunks = self._index.get(name)
        if not chunks:
            raise Unavailable(f"the bundle has no answer to {call[0]}: it was packed for another question")
        turn = min(self._asked[name], len(chunks) - 1)
        self._asked[name] += 1
        return self._chunk(chunks[turn])[name][turn - chunks.index(chunks[turn])]

    def _load(self, number: int) -> dict[str, list[_Answer]]:
        found: dict[str, list[_Answer]] = {}
        with _sound(str(self._archive.filename)):
            for answer in _ANSWERS.decode(self._archive.read(f"answers/{number}.json")):
                found.setdefault(answer.call, []).append(answer)
        return found


@contextmanager
def recording(path: Path, options: Options, nodes: Sequence[Node]) -> Iterator[list[Recorded]]:
    """The nodes as they are to be asked; the bundle is at `path` when the block has ended without an error."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            _write_question(archive, options, len(nodes))
            writer = Writer(archive)
            yield [Recorded(node, number, writer) for number, node in enumerate(nodes)]
            writer.close()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Options, list[Bundle]]]:
    """What was asked, and the nodes that were asked. Raises `BundleUnusable`."""
    with ExitStack() as stack:
        with _sound(str(path)):
            archive = stack.enter_context(zipfile.ZipFile(path))
            manifest = msgspec.json.decode(archive.read("manifest.json"), type=_Manifest)
            if manifest.format != FORMAT:
                raise BundleUnusable(f"{path} is a bundle of another version: {manifest.format}.")
            index = msgspec.json.decode(archive.read("index.json"), type=dict[str, list[int]])
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="points-audit-"))
            for name in archive.namelist():
                if name == "deployment.json" or name.startswith("receipts/"):
                    archive.extract(name, folder)
            options = _question(manifest, Path(folder))
        yield options, [Bundle(archive, index, number) for number in range(manifest.nodes)]


@contextmanager
def _sound(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, zlib.error, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise BundleUnusable(f"{path} is no whole bundle of an audit: {error}.") from error


def _write_question(archive: zipfile.ZipFile, options: Options, nodes: int) -> None:
    block = None if options.block is None else options.block.hex()
    manifest = _Manifest(FORMAT, nodes, block, options.sample, options.seed, options.receipts is not None)
    archive.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
    with tempfile.TemporaryDirectory() as folder:
        deployment.save(options.deployment, Path(folder) / "deployment.json")
        archive.write(Path(folder) / "deployment.json", "deployment.json")
    if options.receipts is not None:
        for file in sorted(each for each in options.receipts.rglob("*") if each.is_file()):
            archive.write(file, f"receipts/{file.relative_to(options.receipts).as_posix()}")


def _question(manifest: _Manifest, folder: Path) -> Options:
    receipts = folder / "receipts"
    if manifest.receipts:
        receipts.mkdir(exist_ok=True)  # of an empty folder nothing is in the archive
    return Options(
        deployment=deployment.load(folder / "deployment.json"),
        block=None if manifest.block is None else bytes.fromhex(manifest.block),
        receipts=receipts if manifest.receipts else None,
        sample=manifest.sample,
        seed=manifest.seed,
    )


def _name(node: int, call: Call) -> str:
    return hashlib.sha256(msgspec.json.encode([node, *call], order="deterministic")).hexdigest()


def _written(error: ChainError) -> _Error:
    if isinstance(error, NodeError):
        return _Error(error.message, error.code, error.data.hex())
    return _Error(str(error))


def _raised(error: _Error) -> ChainError:
    if error.code is None:
        return Unavailable(error.message)
    return classify(error.code, error.message, f"0x{error.data}")
