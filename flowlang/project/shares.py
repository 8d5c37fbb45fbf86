"""Many pipeline files are read and lowered by several processes at once, each with a share of them.

A process reads its share and says what is in it; when the names of all pipelines are known, it is told the rest of the
project and answers with what is kept of each file. It is a fork, and so begins with all that was imported.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec

from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.outline import handlers_called, invoked_by
from flowlang.compiler.project import lower_pipelines
from flowlang.diagnostics import Diagnostic
from flowlang.model import PipelineDocument
from flowlang.project.kept import KeptDocument

#: Fewer files than this for each process are not worth one.
LEAST: Final = 100

#: Most processes: what they find has to be joined by one.
MOST: Final = 8


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A pipeline file that was read.

    Attributes:
        documents: In their order.
        mistakes: What was found in reading it.
    """

    documents: tuple[PipelineDocument, ...]
    mistakes: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a pipeline file, as far as others have to know before it is lowered.

    Attributes:
        names: Of its pipelines, in their order; None where one could not be read.
        handlers: That they call.
        invoked: The pipelines that they invoke.
        input_files: The schema files that their inputs name.
    """

    names: tuple[str | None, ...] = ()
    handlers: tuple[str, ...] = ()
    invoked: tuple[str, ...] = ()
    input_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a file in another process."""

    documents: tuple[KeptDocument, ...]
    mistakes: tuple[Diagnostic, ...]


def contents_of(documents: Sequence[PipelineDocument]) -> Contents:
    """What is in a file with these documents."""
    models = [document.model for document in documents if document.model is not None]
    return Contents(
        names=tuple(document.name for document in documents),
        handlers=tuple(sorted({name for model in models for name in handlers_called(model)})),
        invoked=tuple(sorted({name for model in models for name in invoked_by(model)})),
        input_files=tuple(sorted({model.input for model in models if isinstance(model.input, str)})),
    )


def process_count(files: int) -> int:
    """How many processes are worth it for so many files; 1: this one alone."""
    if sys.platform != "linux" or threading.active_count() > 1:  # a fork of threads, or of macOS's libraries, may hang
        return 1
    return max(1, min(files // LEAST, os.cpu_count() or 1, MOST))


class Share:
    """A process with its share of the files.

    Args:
        paths: Of the files.
        read: Reads a file.
    """

    def __init__(self, paths: Sequence[str], read: Callable[[str], ReadFile]) -> None:
        self.paths = tuple(paths)
        context: Any = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        self._pipe: Connection = ours
        self._process = context.Process(target=_serve, args=(theirs, self.paths, read), daemon=True)
        self._process.start()
        theirs.close()

    def contents(self) -> dict[str, Contents]:
        """What is in its files, by path. Raises: EOFError, when the process has died."""
        return msgspec.msgpack.decode(self._receive(), type=dict[str, Contents])

    def lower(self, project: ProjectInput, names: frozenset[str], invoked: Sequence[str]) -> None:
        """Begin to lower the pipelines.

        Args:
            project: What was read, without pipelines.
            names: Of all pipelines of the project.
            invoked: Paths of the other files whose pipelines are invoked from here.
        """
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died, which `found` will tell
            self._pipe.send((project, names, tuple(invoked)))

    def found(self) -> dict[str, Found]:
        """What came of its files, by path. Raises: EOFError, when the process has died."""
        return msgspec.msgpack.decode(self._receive(), type=dict[str, Found])

    def _receive(self) -> bytes:
        try:
            return self._pipe.recv_bytes()
        except ConnectionResetError as error:  # it has died with something unread
            raise EOFError from error

    def end(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, paths: Sequence[str], read: Callable[[str], ReadFile]) -> None:
    gc.disable()
    files = {path: read(path) for path in paths}
    pipe.send_bytes(msgspec.msgpack.encode({path: contents_of(file.documents) for path, file in files.items()}))
    project, names, invoked = pipe.recv()
    pipe.send_bytes(msgspec.msgpack.encode(_lowered(project, names, files, [read(path) for path in invoked])))
    pipe.close()
    os._exit(0)  # nothing of the parent's is to be cleaned up here


def _lowered(
    project: ProjectInput, names: frozenset[str], files: Mapping[str, ReadFile], invoked: Sequence[ReadFile]
) -> dict[str, Found]:
    documents = [document for file in (*files.values(), *invoked) for document in file.documents]
    made = iter(lower_pipelines(replace(project, pipelines=tuple(documents)), names))
    return {
        path: Found(tuple(KeptDocument.of(next(made)) for _ in file.documents), file.mistakes)
        for path, file in files.items()
    }
