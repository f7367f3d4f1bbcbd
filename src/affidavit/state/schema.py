"""The Cedar schema that every policy is validated against: entity types, actions, and the facts as optional attributes.

All facts are optional, so a policy must say `context has verb && context.verb == …`; one that does not is refused
when it is put, instead of erring (and so denying) when it is needed. The attributes of an identity are Cedar tags,
because their names are the organisation's own: `principal.hasTag("ward") && principal.getTag("ward") == "3b"`.
"""

from __future__ import annotations

from typing import Final

import cedarpy

from affidavit.state.facts import FACTS

#: Actions on connected systems, and on the log: whether each fits the resource is up to who asks.
ACTIONS: Final = ("admin", "define", "grant", "login", "read", "session", "write")

_FACTS_TEXT = ",\n".join(f"  {name}?: {kind.cedar}" for name, kind in sorted(FACTS.items()))

SCHEMA_TEXT: Final = f"""\
type Facts = {{
{_FACTS_TEXT}
}};
entity Group in [Group];
entity Identity in [Group] {{ kind: String }} tags String;
entity System;
entity Table in [System];
entity Log;
entity ObjectKind in [Log];
entity Object in [ObjectKind];
action {", ".join(ACTIONS)} appliesTo {{
  principal: [Identity],
  resource: [System, Table, Log, ObjectKind, Object],
  context: Facts
}};
"""

#: Parsed once. An immutable handle.
SCHEMA: Final = cedarpy.Schema.from_str(SCHEMA_TEXT)
