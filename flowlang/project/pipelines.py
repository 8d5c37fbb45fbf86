"""The pipeline files of a project: those that have to be read, and those of which enough is kept.

Owns which files are read again, and by whom. What a record must match is told in two steps: the text of its file first,
which is enough to know names, handlers and schema files, then all that the pipeline was checked against (`settle`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.project import Lowered, lower_pipelines
from flowlang.diagnostics import Diagnostic, Severity
from flowlang.model import PipelineDocument, load_pipelines
from flowlang.plan import Plan
from flowlang.project.files import ProjectFiles
from flowlang.project.inputs import checked_inputs
from flowlang.project.kept import FileRecord, KeptDocument, KeptPlans, digest_of
from flowlang.project.schema_files import SchemaFiles
from flowlang.project.shares import Contents, ReadFile, Share, contents_of, process_count
from flowlang.project.tests import SUFFIXES
from flowlang.source import SourceText

FOLDER: Final = "pipelines"

#: A schema that is written in place and refers to others is read with them each time, since they may have mistakes.
_REFERENCE: Final = "$ref"


@dataclass(slots=True)
class _File:
    """A pipeline file.

    Attributes:
        source: Its text.
        digest: Of the text.
        contents: What is in it, as far as others have to know.
        context: Digest of what its pipelines are checked against.
        record: What was found in it, where that is known without this process having read it.
        read: Its documents, where this process has read it.
        lowered: What became of its documents, at the end.
    """

    source: SourceText
    digest: str
    contents: Contents = field(default_factory=Contents)
    context: str = ""
    record: FileRecord | None = None
    read: ReadFile | None = None
    lowered: tuple[Lowered, ...] = ()


class PipelineFiles:
    """All pipeline files of a project.

    Args:
        files: Of the project.
        schemas: Of the project, for schemas that pipelines write in place.
        records: What is kept, by path; None: each file is read by this process.
    """

    def __init__(
        self, files: ProjectFiles, schemas: SchemaFiles, records: Mapping[str, FileRecord] | None = None
    ) -> None:
        self._schemas = schemas
        self._paths = [path for path in files.below(FOLDER, (".yaml", ".yml")) if not path.lower().endswith(SUFFIXES)]
        self._files: dict[str, _File] = {}
        self._shares: list[Share] = []
        self._unheard: list[Share] = []
        for path in self._paths:
            source = files.read(path)
            if source is not None:
                self._files[path] = _File(source, "" if records is None else digest_of(source.text))
        for path, record in ({} if records is None else records).items():
            file = self._files.get(path)
            if file is not None and file.digest == record.text:
                file.record = record
                file.contents = _contents_of(record)
        new = [path for path, file in self._files.items() if file.record is None]
        if records is None:
            for path in new:
                self._read_here(path)
        else:
            self._read_new(new)

    def nothing(self) -> Iterator[Diagnostic]:
        """Say that there are no files at all."""
        if not self._paths:
            span = SourceText("flowlang.yaml", "").span(0, 0)
            message = "the project has no pipelines: it has nothing to do"
            hint = f"a pipeline is a file such as `{FOLDER}/welcome.yaml`"
            yield Diagnostic("FL127", message, span, Severity.INFO, hint)

    # What is known of all files -------------------------------------------------------------------------------------

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all pipelines, as far as they could be read."""
        return frozenset(name for contents in self._contents() for name in contents.names if name is not None)

    @cached_property
    def complete(self) -> bool:
        """Whether all files could be read as far as the names in them."""
        whole = all(contents.names and None not in contents.names for contents in self._contents())
        return whole and len(self._files) == len(self._paths)

    @cached_property
    def handlers(self) -> frozenset[str]:
        """Names of all handlers that pipelines call."""
        return frozenset(name for contents in self._contents() for name in contents.handlers)

    @cached_property
    def input_files(self) -> frozenset[str]:
        """All schema files that pipelines name as their input."""
        return frozenset(path for contents in self._contents() for path in contents.input_files)

    @property
    def documents(self) -> tuple[PipelineDocument, ...]:
        """The documents of the files that this process has read."""
        return tuple(document for file in self._read() for document in _documents(file))

    def _contents(self) -> list[Contents]:
        self._hear()
        return [file.contents for file in self._files.values()]

    def _read(self) -> Iterator[_File]:
        return (file for file in self._files.values() if file.read is not None)

    # Which of them are read -----------------------------------------------------------------------------------------

    def settle(self, context: str) -> None:
        """Read the files whose records do not count, and those that are invoked from there.

        Args:
            context: Digest of all that pipelines are checked against, beside those that they invoke.
        """
        self._hear()
        for path, file in self._files.items():
            others = sorted(self._reached([path]))
            file.context = digest_of(context, *(f"{other} {self._files[other].digest}" for other in others))
        stale = [path for path, file in self._files.items() if file.record and file.record.context != file.context]
        for path in stale:
            self._files[path].record = None
        self._read_new(stale)
        self._hear()
        read = [path for path, file in self._files.items() if file.read is not None]
        for path in self._reached(read):
            if self._files[path].read is None:
                self._read_here(path)

    def _reached(self, paths: Sequence[str]) -> set[str]:
        """The files of the pipelines that those of some files invoke, directly or not."""
        found: set[str] = set()
        pending = list(paths)
        while pending:
            for name in self._files[pending.pop()].contents.invoked:
                owner = self.owners.get(name)
                if owner is not None and owner not in found:
                    found.add(owner)
                    pending.append(owner)
        return found

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Pipeline → the path of the file that it is in; of two, the first."""
        self._hear()
        found: dict[str, str] = {}
        for path, file in self._files.items():
            for name in file.contents.names:
                if name is not None:
                    found.setdefault(name, path)
        return found

    def _read_new(self, paths: Sequence[str]) -> None:
        """Read files of which nothing is known: many of them in processes of their own."""
        alone = [path for path in paths if _REFERENCE in self._files[path].source.text]
        shared = [path for path in paths if _REFERENCE not in self._files[path].source.text]
        count = process_count(len(shared))
        if count > 1:
            self._unheard = [Share(shared[number::count], self._parse) for number in range(count)]
            self._shares += self._unheard
            paths = alone
        for path in paths:
            self._read_here(path)

    def _hear(self) -> None:
        """Take in what other processes have read."""
        for share in self._unheard:
            try:
                for path, contents in share.contents().items():
                    self._files[path].contents = contents
            except EOFError:
                self._take_over(share)
        self._unheard = []

    def _take_over(self, share: Share) -> None:
        """Read the files of a process that has died."""
        share.end()
        self._shares.remove(share)
        for path in share.paths:
            self._read_here(path)

    def _read_here(self, path: str) -> None:
        file = self._files[path]
        file.read = self._parse(path)
        file.contents = contents_of(file.read.documents)

    def _parse(self, path: str) -> ReadFile:
        documents, mistakes = load_pipelines(self._files[path].source)
        documents_with_inputs = checked_inputs(documents, self._schemas, mistakes)
        return ReadFile(documents_with_inputs, tuple(mistakes))

    # What comes of them ---------------------------------------------------------------------------------------------

    def lower(self, project: ProjectInput) -> list[Lowered]:
        """Lower the pipelines of which it is not known what comes of them.

        Args:
            project: What was read, with `documents` as its pipelines.

        Returns:
            All documents of all files, in order; only those of files that this process has read have their plans.
        """
        for share in self._shares:
            others = sorted(self._reached(share.paths) - set(share.paths))
            share.lower(replace(project, pipelines=()), self.names, others)
        made = iter(lower_pipelines(project, self.names))
        for file in self._read():
            file.lowered = tuple(next(made) for _ in _documents(file))
        lost: list[str] = []
        for share in self._shares:
            try:
                for path, found in share.found().items():
                    file = self._files[path]
                    file.record = FileRecord(file.digest, file.context, found.documents, found.mistakes)
            except EOFError:
                lost += share.paths
            share.end()
        if lost:
            self._lower_here(lost, project)
        for file in self._files.values():
            if file.read is None and file.record is not None:
                file.lowered = tuple(document.lowered() for document in file.record.documents)
        return [each for file in self._files.values() for each in file.lowered]

    def _lower_here(self, paths: Sequence[str], project: ProjectInput) -> None:
        """Lower the pipelines of processes that have died."""
        for path in {*paths, *self._reached(paths)}:
            if self._files[path].read is None:
                self._read_here(path)
        made = iter(lower_pipelines(replace(project, pipelines=self.documents), self.names))
        for file in self._read():
            file.lowered = tuple(next(made) for _ in _documents(file))

    def mistakes(self) -> Iterator[Diagnostic]:
        """What was found in reading all files, after they were lowered."""
        for file in self._files.values():
            if file.read is not None:
                yield from file.read.mistakes
            elif file.record is not None:
                yield from file.record.mistakes

    def plans(self, made: Mapping[str, Plan]) -> Mapping[str, Plan]:
        """Plans by pipeline: those that this process has made, and those that are kept."""
        kept = {
            document.name: document.plan
            for file in self._files.values()
            if file.read is None and file.record is not None
            for document in file.record.documents
            if document.name is not None and document.plan
        }
        return KeptPlans(made, kept) if kept else made

    def records(self) -> dict[str, FileRecord]:
        """What to keep of the files."""
        found: dict[str, FileRecord] = {}
        for path, file in self._files.items():
            if _REFERENCE in file.source.text:
                continue
            if file.record is not None:
                found[path] = file.record
            elif file.read is not None:
                documents = tuple(map(KeptDocument.of, file.lowered))
                found[path] = FileRecord(file.digest, file.context, documents, file.read.mistakes)
        return found


def _documents(file: _File) -> tuple[PipelineDocument, ...]:
    return () if file.read is None else file.read.documents


def _contents_of(record: FileRecord) -> Contents:
    outlines = [kept.outline for kept in record.documents if kept.outline is not None]
    return Contents(
        names=tuple(kept.name for kept in record.documents),
        handlers=tuple(name for outline in outlines for name in outline.handlers),
        invoked=tuple(call.target for outline in outlines for call in outline.invocations),
        input_files=tuple(outline.input_file for outline in outlines if outline.input_file is not None),
    )
