"""The language server: the protocol's requests, answered from the project that the file belongs to.

Everything is answered from unsaved texts. Findings follow a change after a short quiet; questions are answered at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from flowlang import __version__
from flowlang.diagnostics import Diagnostic, Severity
from flowlang.diagnostics.rule_text import PAGES_URL
from flowlang.lsp.completion import Completion, complete
from flowlang.lsp.fixes import QuickFix, quick_fixes
from flowlang.lsp.hover import hover
from flowlang.lsp.navigation import definition, references
from flowlang.lsp.opened import OpenProject, project_folder
from flowlang.lsp.positions import Encoding, offset_at, position_at
from flowlang.lsp.renaming import RenameError, rename, renamed_at
from flowlang.source import SourceText, Span

log = logging.getLogger(__name__)

#: How long nothing must have changed before a project is checked again.
QUIET_S: Final = 0.2

_SEVERITIES: Final = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}

_KINDS: Final = {
    "key": types.CompletionItemKind.Property,
    "argument": types.CompletionItemKind.Property,
    "field": types.CompletionItemKind.Field,
    "name": types.CompletionItemKind.Variable,
    "step": types.CompletionItemKind.Reference,
    "function": types.CompletionItemKind.Function,
    "method": types.CompletionItemKind.Method,
    "handler": types.CompletionItemKind.Function,
    "event": types.CompletionItemKind.Event,
    "pipeline": types.CompletionItemKind.Module,
    "value": types.CompletionItemKind.Value,
}


class FlowLangServer(LanguageServer):
    """Answers for all projects whose files an editor has open."""

    def __init__(self) -> None:
        super().__init__("flowlang", __version__)
        self._projects: dict[Path, OpenProject] = {}
        self._shown: dict[Path, set[str]] = {}
        self._waiting: dict[Path, asyncio.TimerHandle] = {}
        self._checking = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # What is open ---------------------------------------------------------------------------------------------------

    @property
    def encoding(self) -> Encoding:
        """In what the client counts characters."""
        agreed = self.server_capabilities.position_encoding
        return Encoding(str(getattr(agreed, "value", agreed) or "utf-16"))

    def place(self, uri: str) -> tuple[OpenProject, str] | None:
        """The project of a file, and the file's path in it; None when it belongs to none."""
        name = uris.to_fs_path(uri)
        folder = None if name is None else project_folder(Path(name).absolute())
        if name is None or folder is None:
            return None
        folder = folder.resolve()
        project = self._projects.setdefault(folder, OpenProject(folder))
        path = project.path_of(Path(name))
        return None if path is None else (project, path)

    def offset(self, project: OpenProject, path: str, position: types.Position) -> int:
        """The offset of a position in a file."""
        source = SourceText(path, project.text(path))
        return offset_at(source, position.line, position.character, self.encoding)

    def range(self, project: OpenProject, span: Span) -> types.Range:
        """A stretch of a file, as the client counts."""
        source = SourceText(span.path, project.text(span.path))
        if not span.start and not span.end and span.line > 1:  # a file that is not ours: only the line is known
            start = types.Position(span.line - 1, max(span.column - 1, 0))
            return types.Range(start, start)
        return types.Range(
            types.Position(*position_at(source, span.start, self.encoding)),
            types.Position(*position_at(source, span.end, self.encoding)),
        )

    def uri(self, project: OpenProject, path: str) -> str:
        """The address of a file of a project."""
        return uris.from_fs_path(str(project.folder / path)) or ""

    # Findings -------------------------------------------------------------------------------------------------------

    def changed(self, uri: str, text: str | None) -> None:
        """Take a file's text in, None when it is closed, and check its project soon."""
        found = self.place(uri)
        if found is None:
            return
        project, path = found
        if text is None:
            project.unsaved.pop(path, None)
        else:
            project.unsaved[path] = text.removeprefix("\ufeff")
        self.soon(project)

    def soon(self, project: OpenProject) -> None:
        """Check a project when nothing has changed for a while."""
        waiting = self._waiting.pop(project.folder, None)
        if waiting is not None:
            waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting[project.folder] = loop.call_later(QUIET_S, self._begin, project)

    def _begin(self, project: OpenProject) -> None:
        self._waiting.pop(project.folder, None)
        task = asyncio.get_running_loop().create_task(self._check(project))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, project: OpenProject) -> None:
        async with self._checking:
            # In a thread of its own, so that questions are answered meanwhile; texts are taken when it begins.
            other = OpenProject(project.folder)
            other.unsaved = dict(project.unsaved)
            await asyncio.to_thread(other.load)
            project.take(other)
            if other.unsaved == project.unsaved:
                self._publish(project)

    def _publish(self, project: OpenProject) -> None:
        """Show the findings of all files, and that there are none any more where there were some."""
        by_path: dict[str, list[Diagnostic]] = {path: [] for path in project.unsaved}
        for finding in project.findings:
            by_path.setdefault(finding.span.path, []).append(finding)
        before = self._shown.get(project.folder, set())
        self._shown[project.folder] = {path for path, found in by_path.items() if found}
        for path in sorted({*by_path, *before}):
            items = [self._diagnostic(project, finding) for finding in by_path.get(path, [])]
            params = types.PublishDiagnosticsParams(uri=self.uri(project, path), diagnostics=items)
            self.text_document_publish_diagnostics(params)

    def _diagnostic(self, project: OpenProject, finding: Diagnostic) -> types.Diagnostic:
        message = finding.message if finding.hint is None else f"{finding.message}\n{finding.hint}"
        related = [
            types.DiagnosticRelatedInformation(
                types.Location(self.uri(project, label.span.path), self.range(project, label.span)), label.message
            )
            for label in finding.labels
        ]
        return types.Diagnostic(
            range=self.range(project, finding.span),
            message=message,
            severity=_SEVERITIES[finding.severity],
            code=finding.code,
            code_description=types.CodeDescription(f"{PAGES_URL}/{finding.code}.md"),
            source="flowlang",
            related_information=related or None,
        )

    # Answers --------------------------------------------------------------------------------------------------------

    def location(self, project: OpenProject, span: Span) -> types.Location:
        """A place, as the client counts."""
        return types.Location(self.uri(project, span.path), self.range(project, span))

    def item(
        self, project: OpenProject, path: str, found: Completion, position: types.Position
    ) -> types.CompletionItem:
        """Something that can be written, as an edit up to the cursor."""
        source = SourceText(path, project.text(path))
        start = types.Position(*position_at(source, found.start, self.encoding))
        markdown = types.MarkupContent(types.MarkupKind.Markdown, found.doc) if found.doc else None
        return types.CompletionItem(
            label=found.label,
            kind=_KINDS[found.kind],
            detail=found.detail or None,
            documentation=markdown,
            filter_text=found.label,
            text_edit=types.TextEdit(types.Range(start, position), found.insert),
        )

    def edits(self, project: OpenProject, spans: Iterable[Span], text: str) -> types.WorkspaceEdit:
        """The same text at many places."""
        changes: dict[str, list[types.TextEdit]] = {}
        for span in spans:
            edit = types.TextEdit(self.range(project, span), text)
            changes.setdefault(self.uri(project, span.path), []).append(edit)
        return types.WorkspaceEdit(changes=changes)

    def action(self, project: OpenProject, finding: Diagnostic, fix: QuickFix) -> types.CodeAction:
        """A quick fix."""
        if fix.creates is None:
            changes: dict[str, list[types.TextEdit]] = {}
            for edit in fix.edits:
                written = types.TextEdit(self.range(project, edit.span), edit.text)
                changes.setdefault(self.uri(project, edit.span.path), []).append(written)
            edits = types.WorkspaceEdit(changes=changes)
        else:
            path, text = fix.creates
            uri = self.uri(project, path)
            start = types.Range(types.Position(0, 0), types.Position(0, 0))
            document = types.OptionalVersionedTextDocumentIdentifier(uri)
            edits = types.WorkspaceEdit(
                document_changes=[
                    types.CreateFile(uri, options=types.CreateFileOptions(ignore_if_exists=True)),
                    types.TextDocumentEdit(document, [types.TextEdit(start, text)]),
                ]
            )
        return types.CodeAction(
            title=fix.title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[self._diagnostic(project, finding)],
            edit=edits,
            is_preferred=fix.certain,
        )


def make_server() -> FlowLangServer:
    """The server with all that it answers, not started."""
    server = FlowLangServer()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        server.changed(params.text_document.uri, params.text_document.text)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.changed(uri, server.workspace.get_text_document(uri).source)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        found = server.place(params.text_document.uri)
        if found is not None:
            server.soon(found[0])

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        server.changed(params.text_document.uri, None)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_files(params: types.DidChangeWatchedFilesParams) -> None:
        for change in params.changes:
            found = server.place(change.uri)
            if found is not None:
                server.soon(found[0])

    _answer_questions(server)
    return server


def _answer_questions(server: FlowLangServer) -> None:
    characters = [".", "{", " ", "/", "["]

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=characters))
    def completion(params: types.CompletionParams) -> list[types.CompletionItem]:
        found = server.place(params.text_document.uri)
        if found is None:
            return []
        offered = complete(*found, server.offset(*found, params.position))
        return [server.item(*found, each, params.position) for each in offered]

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hovering(params: types.HoverParams) -> types.Hover | None:
        found = server.place(params.text_document.uri)
        shown = None if found is None else hover(*found, server.offset(*found, params.position))
        if found is None or shown is None:
            return None
        source = SourceText(found[1], found[0].text(found[1]))
        span = source.span(shown.start, shown.end)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, shown.markdown), server.range(found[0], span))

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def defined(params: types.DefinitionParams) -> list[types.Location]:
        found = server.place(params.text_document.uri)
        if found is None:
            return []
        spans = definition(*found, server.offset(*found, params.position))
        return [server.location(found[0], span) for span in spans]

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def referred(params: types.ReferenceParams) -> list[types.Location]:
        found = server.place(params.text_document.uri)
        if found is None:
            return []
        spans = references(*found, server.offset(*found, params.position))
        return [server.location(found[0], span) for span in spans]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def can_be_renamed(params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        found = server.place(params.text_document.uri)
        named = None if found is None else renamed_at(*found, server.offset(*found, params.position))
        if found is None or named is None:
            return None
        return types.PrepareRenamePlaceholder(server.range(found[0], named.span), named.name)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def renamed(params: types.RenameParams) -> types.WorkspaceEdit | None:
        found = server.place(params.text_document.uri)
        if found is None:
            return None
        try:
            spans = rename(*found, server.offset(*found, params.position), params.new_name)
        except RenameError as error:
            raise JsonRpcInvalidParams(str(error)) from error
        return server.edits(found[0], spans, params.new_name)

    kinds = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, kinds)
    def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        found = server.place(params.text_document.uri)
        if found is None:
            return []
        project, path = found
        project.refresh()
        start, end = (server.offset(project, path, each) for each in (params.range.start, params.range.end))
        return [
            server.action(project, finding, fix)
            for finding in project.findings
            if finding.span.path == path and finding.span.start <= end and start <= finding.span.end
            for fix in quick_fixes(finding)
        ]


def serve() -> int:
    """Answer an editor over standard input and output until it says goodbye. Returns the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # The protocol has standard output to itself: whatever else is printed, by whatever library, goes to where logs go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    make_server().start_io(stdout=answers)
    return 0
