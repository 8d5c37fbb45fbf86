"""An editor: a real client of `flowlang lsp`, over the pipes of a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

#: How long an answer may take before a test gives up.
PATIENCE_S = 30

#: Stands for what was never published.
NEVER = types.Diagnostic(types.Range(types.Position(0, 0), types.Position(0, 0)), "nothing was published")


class Editor:
    """An editor with a project open.

    Args:
        client: The connection.
        folder: The project's folder.
    """

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.texts: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._findings: dict[str, list[types.Diagnostic]] = {}
        self._published = asyncio.Event()

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]  # pygls has no types here
        def published(params: types.PublishDiagnosticsParams) -> None:
            self._findings[params.uri] = list(params.diagnostics)
            self._published.set()

    def uri(self, path: str) -> str:
        return uris.from_fs_path(str(self.folder / path)) or ""

    def open(self, path: str, text: str | None = None) -> None:
        """Open a file, with the text on disk or with another one."""
        self.texts[path] = (self.folder / path).read_text(encoding="utf-8") if text is None else text
        self._versions[path] = 1
        item = types.TextDocumentItem(self.uri(path), "yaml", 1, self.texts[path])
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def write(self, path: str, old: str, new: str) -> None:
        """Type: replace a text that occurs once, as an incremental change."""
        text = self.texts[path]
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        start = text.index(old)
        self._versions[path] += 1
        change = types.TextDocumentContentChangePartial(
            range=types.Range(self.position(path, start), self.position(path, start + len(old))), text=new
        )
        self.texts[path] = text.replace(old, new)
        identifier = types.VersionedTextDocumentIdentifier(self._versions[path], self.uri(path))
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    def close(self, path: str) -> None:
        identifier = types.TextDocumentIdentifier(self.uri(path))
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    def position(self, path: str, offset: int) -> types.Position:
        """A position as the protocol counts when nothing else is agreed: in UTF-16."""
        before = self.texts[path][:offset]
        line = before.rpartition("\n")[2]
        return types.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)

    def at(self, path: str, text: str) -> types.Position:
        """Where a cursor stands: at the `|` in a text that occurs once, which is written here without it."""
        before, cursor, after = text.partition("|")
        assert cursor, f"no cursor in {text!r}"
        whole = self.texts[path]
        assert whole.count(before + after) == 1, f"{before + after!r} occurs {whole.count(before + after)} times"
        return self.position(path, whole.index(before + after) + len(before))

    def text_in(self, path: str, area: types.Range) -> str:
        """The text of a range, by the protocol's count."""
        lines = self.texts[path].split("\n") if path in self.texts else (self.folder / path).read_text().split("\n")
        assert area.start.line == area.end.line
        units = lines[area.start.line].encode("utf-16-le")
        return units[2 * area.start.character : 2 * area.end.character].decode("utf-16-le")

    async def finds(self, path: str, *codes: str) -> list[types.Diagnostic]:
        """Wait until the findings of a file have these codes."""
        uri = self.uri(path)
        try:
            async with asyncio.timeout(PATIENCE_S / 2):
                while [each.code for each in self._findings.get(uri, [NEVER])] != list(codes):
                    self._published.clear()
                    await self._published.wait()
        except TimeoutError:
            raise AssertionError(f"{path} should have {codes}, and has {self._findings.get(uri)}") from None
        return self._findings[uri]

    async def complete(self, path: str, position: types.Position) -> dict[str, types.CompletionItem]:
        params = types.CompletionParams(types.TextDocumentIdentifier(self.uri(path)), position)
        found = await self.client.text_document_completion_async(params)
        assert isinstance(found, list | tuple)
        return {item.label: item for item in found}

    async def hover(self, path: str, position: types.Position) -> str | None:
        params = types.HoverParams(types.TextDocumentIdentifier(self.uri(path)), position)
        found = await self.client.text_document_hover_async(params)
        if found is None:
            return None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    async def definition(self, path: str, position: types.Position) -> list[str]:
        """Places as `path:line:column`, from 1."""
        params = types.DefinitionParams(types.TextDocumentIdentifier(self.uri(path)), position)
        return self._places(await self.client.text_document_definition_async(params))

    async def references(self, path: str, position: types.Position) -> list[str]:
        """Places as `path:line:column`, from 1."""
        context = types.ReferenceContext(include_declaration=True)
        params = types.ReferenceParams(context, types.TextDocumentIdentifier(self.uri(path)), position)
        return self._places(await self.client.text_document_references_async(params))

    def _places(self, found: object) -> list[str]:
        assert isinstance(found, list | tuple)
        places = []
        for location in found:
            assert isinstance(location, types.Location)
            file = Path(uris.to_fs_path(location.uri) or "").relative_to(self.folder).as_posix()
            places.append(f"{file}:{location.range.start.line + 1}:{location.range.start.character + 1}")
        return places

    async def rename(self, path: str, position: types.Position, name: str) -> dict[str, list[types.TextEdit]]:
        params = types.RenameParams(types.TextDocumentIdentifier(self.uri(path)), position, name)
        edit = await self.client.text_document_rename_async(params)
        assert edit is not None
        assert edit.changes is not None
        changes = {Path(uris.to_fs_path(uri) or ""): list(edits) for uri, edits in edit.changes.items()}
        return {file.relative_to(self.folder).as_posix(): edits for file, edits in changes.items()}

    async def actions(self, path: str, area: types.Range) -> list[types.CodeAction]:
        context = types.CodeActionContext(diagnostics=[])
        params = types.CodeActionParams(types.TextDocumentIdentifier(self.uri(path)), area, context)
        found = await self.client.text_document_code_action_async(params)
        assert found is not None
        assert all(isinstance(action, types.CodeAction) for action in found)
        return [action for action in found if isinstance(action, types.CodeAction)]


@asynccontextmanager
async def editor(
    folder: Path, *, encodings: list[types.PositionEncodingKind | str] | None = None
) -> AsyncIterator[Editor]:
    """Start `flowlang lsp` and shake hands with it; it has ended afterwards."""
    client = LanguageClient("editor", "1")
    await client.start_io(sys.executable, "-m", "flowlang", "lsp", "--stdio")
    process = client._server
    assert process is not None
    try:
        general = types.GeneralClientCapabilities(position_encodings=encodings)
        capabilities = types.ClientCapabilities(general=general)
        root = uris.from_fs_path(str(folder))
        async with asyncio.timeout(PATIENCE_S):
            await client.initialize_async(types.InitializeParams(capabilities=capabilities, root_uri=root))
        client.initialized(types.InitializedParams())
        yield Editor(client, folder)
        async with asyncio.timeout(PATIENCE_S):
            await client.shutdown_async(None)
            client.exit(None)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await client.stop()  # type: ignore[no-untyped-call]  # the same
