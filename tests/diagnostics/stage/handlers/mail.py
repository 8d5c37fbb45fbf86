from flowlang import handler


@handler("mail.send", effect="keyed")
def send(to: str, subject: str = "") -> dict[str, str]:
    return {"id": f"{to} {subject}"}
