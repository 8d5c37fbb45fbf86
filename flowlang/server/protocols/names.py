"""What the names of other systems' events are here: the same text in lower case, dots and slashes as they stand.

One rule for all protocols, so that a name can be told without knowing how the event came: `com.example.order.placed`
and `shop/order.placed` stay as they are, `Shop/OrderPlaced` is `shop/orderplaced`. What is no event name then is
refused like any other sender's.
"""

from __future__ import annotations


def event_name(text: str) -> str:
    """The name of an event of another system."""
    return text.lower()
