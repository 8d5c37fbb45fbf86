from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowlang.model.quoting import quoted
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_quoted_text_is_read_back(text: str) -> None:
    [document], found = read_yaml(SourceText("t", f"description: {quoted(text)}"))
    assert found == []
    assert document.data() == {"description": text}
