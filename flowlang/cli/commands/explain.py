"""`flowlang explain`: what a code means, without a network."""

from __future__ import annotations

import click

from flowlang.cli.session import Command, Session


@click.command("explain", cls=Command)
@click.argument("codes", nargs=-1)
@click.pass_obj
def command(session: Session, codes: tuple[str, ...]) -> None:
    """Explain a finding: what it means, an example, and how to put it right.

    CODES are codes such as FL214 or their names, such as unknown-field; without any, all are listed.
    """
    from flowlang.diagnostics import CODES, Code, did_you_mean  # noqa: PLC0415 - for this command only
    from flowlang.diagnostics.rule_text import page_url, plain_lines, rule_text  # noqa: PLC0415 - the same

    slugs = {code.slug: code for code in CODES.values()}

    def meant(word: str) -> Code:
        found = CODES.get(word.upper()) or slugs.get(word.lower())
        if found is None:
            near = did_you_mean(word.upper(), CODES) or did_you_mean(word.lower(), slugs)
            hint = f"; did you mean `{near}`?" if near else "; `flowlang explain` lists all"
            raise click.UsageError(f"no finding has the code `{word}`{hint}")
        return found

    chosen = [meant(word) for word in codes] or [CODES[code] for code in sorted(CODES)]
    console = session.console
    if session.as_json:
        console.document(
            {
                "codes": [
                    {
                        "code": code.code,
                        "slug": code.slug,
                        "sentence": code.sentence,
                        **{part: getattr(rule_text(code.code), part) for part in ("why", "bad", "good", "fix")},
                        "url": page_url(code.code),
                    }
                    for code in chosen
                ]
            }
        )
    elif not codes:
        console.table(("CODE", "NAME", "WHAT IT SAYS"), [(code.code, code.slug, code.sentence) for code in chosen])
    else:
        pages = ["\n".join((*plain_lines(rule_text(code.code)), "", page_url(code.code))) for code in chosen]
        console.out("\n\n\n".join(pages))
