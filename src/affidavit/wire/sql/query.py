"""Tables, columns and key values of one query, from the parser's tree of its rewritten form.

The tree is walked without recursion, carrying the scope: what a name can mean depends on the common table
expressions that are visible where it stands and on the tables of the query around it. A name is taken for a common
table expression only where PostgreSQL would do so: the target of a writing statement never is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from affidavit.wire.sql.clauses import rewrite
from affidavit.wire.sql.reading import KeySlot, Names, Reading
from affidavit.wire.sql.rewrite import Rewriter, Row, Value
from affidavit.wire.sql.statement import TableUse
from affidavit.wire.sql.terms import Term, Unreadable

_WRITERS: dict[type, str] = {
    exp.Insert: "INSERT",
    exp.Update: "UPDATE",
    exp.Delete: "DELETE",
    exp.Merge: "MERGE",
}
_SET_OPERATIONS = (exp.Union, exp.Intersect, exp.Except)
# Every class of node that a query free of effects may hold. What is not here is not proven.
_HARMLESS = frozenset(
    (
        exp.Add, exp.Alias, exp.And, exp.Anonymous, exp.Any, exp.All, exp.Array, exp.Between, exp.Boolean,
        exp.Bracket, exp.CTE, exp.Case, exp.Column, exp.DPipe, exp.Distinct, exp.Div, exp.Dot, exp.EQ, exp.Except,
        exp.Exists, exp.Filter, exp.From, exp.GT, exp.GTE, exp.Group, exp.Having, exp.Identifier, exp.If, exp.In,
        exp.Intersect, exp.Is, exp.Join, exp.LT, exp.LTE, exp.Lateral, exp.Like, exp.Limit, exp.Literal, exp.Mod,
        exp.Mul, exp.NEQ, exp.Neg, exp.Not, exp.Null, exp.Offset, exp.Or, exp.Order, exp.Ordered, exp.Parameter,
        exp.Paren, exp.Select, exp.Star, exp.Sub, exp.Subquery, exp.Table, exp.TableAlias, exp.TableSample,
        exp.Tuple, exp.Union, exp.Values, exp.Var, exp.Where, exp.Window, exp.With, exp.WithinGroup,
    )
)  # fmt: skip

Ref = tuple[str, str]  # schema and name of a real table


@dataclass(slots=True)
class _Scope:
    """What names mean in one query. `sources` maps an alias to a real table, or to None for anything derived."""

    parent: _Scope | None
    tables: frozenset[str]  # common table expressions that are visible here
    sources: dict[str, Ref | None] = field(default_factory=dict)
    target: Ref | None = None
    outputs: frozenset[str] = frozenset()  # names that ORDER BY finds before columns


def read_query(terms: tuple[Term, ...], names: Names) -> Reading:
    """The reading of a query: SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE, each also with WITH.

    Raises `Unreadable` if it is not one, or is beyond what the parser understands.
    """
    rewriter = rewrite(terms, names.catalogue_first)
    tree = _parse(rewriter.core)
    walk = _Walk(names, rewriter.folded)
    walk.run(tree)
    verb = _WRITERS.get(type(tree), "SELECT INTO" if walk.creates else "SELECT")
    why = rewriter.why or walk.why
    if walk.writes and not why:
        why = "a writing statement inside"
    return Reading(
        verb=verb,
        action="define" if verb == "SELECT INTO" else "write" if why else "read",
        read_only=not why,
        why=why,
        tables=tuple(sorted(walk.uses)),
        columns=tuple(sorted(walk.columns)),
        functions=tuple(sorted(rewriter.functions)),
        keys=tuple(walk.keys),
        runs_unknown=_runs_unknown(rewriter),
    )


def _runs_unknown(rewriter: Rewriter) -> bool:
    return bool(rewriter.why) and not rewriter.why.endswith("writes")


def _parse(core: str) -> Any:
    try:
        trees = sqlglot.parse(core, read="postgres")
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError) as e:
        # The parser is not ours: whatever it trips over is a statement that we do not understand.
        raise Unreadable("not understood by the parser") from e
    if len(trees) != 1 or trees[0] is None:
        raise Unreadable("not one statement")
    tree = trees[0]
    while isinstance(tree, exp.Subquery) and isinstance(tree.this, exp.Query) and not tree.args.get("with_"):
        if any(v for k, v in tree.args.items() if k != "this"):
            break
        tree = tree.this
    if not isinstance(tree, exp.Query | exp.Values | exp.Insert | exp.Update | exp.Delete | exp.Merge):
        raise Unreadable("not a query")
    return tree


def _children(node: exp.Expression, *without: str) -> Iterator[exp.Expression]:
    for key, value in node.args.items():
        if key in without:
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expression):
                yield child


class _Walk:
    """One walk over a tree. Read the public fields after `run`."""

    def __init__(self, names: Names, folded: list[list[Row]]) -> None:
        self.uses: set[TableUse] = set()
        self.columns: set[str] = set()
        self.keys: dict[KeySlot, None] = {}
        self.why = ""
        self.writes = False
        self.creates = False
        self._names = names
        self._folded = folded
        self._todo: list[tuple[exp.Expression, _Scope, bool]] = []  # node, scope, whether values are read there

    def run(self, tree: exp.Expression) -> None:
        """Visit every node once."""
        self._push(tree, _Scope(None, frozenset()))
        while self._todo:
            node, scope, reads = self._todo.pop()
            self._visit(node, scope, reads)

    def _push(self, node: Any, scope: _Scope, reads: bool = True) -> None:
        for child in node if isinstance(node, list) else (node,):
            if isinstance(child, exp.Expression):
                self._todo.append((child, scope, reads))

    def _visit(self, node: exp.Expression, scope: _Scope, reads: bool) -> None:
        kind = type(node)
        if kind not in _HARMLESS:
            self.why = self.why or f"syntax not on the allow-list: {kind.__name__}"
        if kind is exp.Select:
            self._select(node, scope)
        elif isinstance(node, _SET_OPERATIONS):
            self._set_operation(node, scope)
        elif kind in _WRITERS:
            self._writer(node, scope)
        elif kind is exp.Column:
            self._column(node, scope, reads)
        elif kind is exp.Table:
            self._table(node, scope)
        elif kind is exp.Into:
            self.creates = True
            self._use(node.this, "define")
        elif kind is exp.Subquery and node.args.get("with_"):
            inner = _Scope(scope, self._with(node, scope), dict(scope.sources))
            self._push(list(_children(node, "with_")), inner)
        elif kind is exp.Subquery and isinstance(node.parent, exp.From | exp.Join) and isinstance(node.this, exp.Query):
            # A query in FROM does not see its neighbours; only LATERAL, another class of node, does.
            self._push(list(_children(node)), _Scope(scope.parent, scope.tables))
        elif kind is exp.Dot and isinstance(node.expression, exp.Star):
            self.columns.add("?.*")
            self._push(node.this, scope)
        else:
            if kind in (exp.EQ, exp.In):
                self._equality(node, scope)
            if kind is exp.Join:
                self.columns.update(f"?.{_name(c)}" for c in node.args.get("using") or [])
            self._push(list(_children(node)), scope, reads)

    # Queries and their scopes.

    def _with(self, node: exp.Expression, scope: _Scope) -> frozenset[str]:
        """Visit the common table expressions of a query; what is visible in the query itself."""
        clause = node.args.get("with_")
        if clause is None:
            return scope.tables
        expressions = clause.expressions
        everything = scope.tables.union(_name(cte.args["alias"].this) for cte in expressions)
        visible = everything if clause.args.get("recursive") else scope.tables
        for cte in expressions:
            if type(cte) is not exp.CTE or not isinstance(cte.args.get("alias"), exp.TableAlias):
                raise Unreadable("WITH here")
            self._push(cte.this, _Scope(scope, visible))
            visible = visible.union((_name(cte.args["alias"].this),))
        return everything

    def _select(self, node: exp.Expression, scope: _Scope) -> None:
        inner = _Scope(scope, self._with(node, scope))
        inner.outputs = frozenset(_name(e.args["alias"]) for e in node.expressions if type(e) is exp.Alias)
        for part in self._source_parts(node):
            self._source(part, inner)
        self._stars(node.expressions, inner)
        self._push(list(_children(node, "with_", "order")), inner)
        self._order(node, inner)

    def _set_operation(self, node: exp.Expression, scope: _Scope) -> None:
        # A long chain of UNION leans to the left: without WITH, no scope is added for each link.
        inner = _Scope(scope, self._with(node, scope)) if node.args.get("with_") else scope
        self._push(list(_children(node, "with_", "order")), inner)
        order = node.args.get("order")
        for ordered in order.expressions if order else ():
            if type(ordered.this) is not exp.Column:
                self._push(ordered.this, inner)

    def _order(self, node: exp.Expression, scope: _Scope) -> None:
        order = node.args.get("order")
        for ordered in order.expressions if order else ():
            column = ordered.this
            if type(column) is exp.Column and not column.args.get("table") and _name(column.this) in scope.outputs:
                continue
            self._push(ordered, scope)

    def _writer(self, node: exp.Expression, scope: _Scope) -> None:
        self.writes = True
        if node.this is None or not isinstance(node.this, exp.Table | exp.Schema):
            self._merge_action(node, scope)
            return
        inner = _Scope(scope, self._with(node, scope))
        target = node.this.this if isinstance(node.this, exp.Schema) else node.this
        inner.target = self._use(target, "write")
        inner.sources[_alias(target)] = inner.target
        for part in self._source_parts(node):
            self._source(part, inner)
        if isinstance(node, exp.Insert):
            self._insert(node, inner)
        else:
            if isinstance(node, exp.Update):
                self._assignments(node.expressions, inner)
            self._push(list(_children(node, "with_", "this", "expressions", "returning")), inner)
        self._returning(node, inner)

    def _merge_action(self, node: exp.Expression, scope: _Scope) -> None:
        """WHEN … THEN UPDATE SET … or INSERT (…) VALUES (…) of a MERGE."""
        if isinstance(node, exp.Update):
            self._assignments(node.expressions, scope)
            return
        names = [_name(c.this) for c in node.this.expressions] if isinstance(node.this, exp.Tuple) else []
        if scope.target:
            self.columns.update(f"{scope.target[0]}.{scope.target[1]}.{name}" for name in names)
        if isinstance(node.expression, exp.Tuple):
            self._stored(names, node.expression.expressions, scope.target)
        self._push(node.args.get("expression"), scope)

    def _insert(self, node: exp.Expression, scope: _Scope) -> None:
        target = scope.target or ("?", "?")
        names = [_name(c) for c in node.this.expressions] if isinstance(node.this, exp.Schema) else []
        self.columns.update(f"{target[0]}.{target[1]}.{name}" for name in names or ["*"])
        values = node.args.get("expression")
        if isinstance(values, exp.Values):
            for row in values.expressions:
                self._stored(names, row.expressions if isinstance(row, exp.Tuple) else [row], target)
        # The new rows are made outside of the target: its columns are not visible there.
        self._push(values, _Scope(scope.parent, scope.tables))
        conflict = node.args.get("conflict")
        if conflict is not None:
            scope.sources["excluded"] = None
            self._assignments(conflict.expressions, scope)
            self._push(conflict.args.get("conflict_keys"), scope, reads=False)
            for part in ("index_predicate", "where"):
                self._push(conflict.args.get(part), scope)

    def _assignments(self, expressions: list[exp.Expression], scope: _Scope) -> None:
        target = scope.target or ("?", "?")
        for assignment in expressions:
            if type(assignment) is not exp.EQ:
                raise Unreadable("SET here")
            left = assignment.this
            places = (
                left.expressions
                if isinstance(left, exp.Tuple)
                else [left.this if isinstance(left, exp.Paren) else left]
            )
            names = []
            for place in places:
                column = place
                while isinstance(column, exp.Bracket | exp.Dot):
                    self._push(column.expressions, scope)
                    column = column.this
                if type(column) is not exp.Column:
                    raise Unreadable("SET here")
                # `SET a.b = …` sets the field b of the column a.
                names.append(_name(column.args.get("table") or column.this))
            self.columns.update(f"{target[0]}.{target[1]}.{name}" for name in names)
            right = assignment.expression
            self._stored(names, right.expressions if isinstance(right, exp.Tuple) else [right], target)
            self._push(right, scope)

    def _returning(self, node: exp.Expression, scope: _Scope) -> None:
        returning = node.args.get("returning")
        if returning is not None:
            self._stars(returning.expressions, scope)
            self._push(returning.expressions, scope)
            if scope.target and any(isinstance(e, exp.Star) for e in returning.expressions):
                self.uses.add(TableUse(*scope.target, "read"))

    # Sources.

    def _source_parts(self, node: exp.Expression) -> Iterator[exp.Expression]:
        from_ = node.args.get("from_")
        if from_ is not None:
            yield from_.this
            yield from (j.this for j in from_.this.args.get("joins") or [])
        using = node.args.get("using")
        for part in using if isinstance(using, list) else [using]:
            if isinstance(part, exp.Expression):
                yield part
                yield from (j.this for j in part.args.get("joins") or [])
        yield from (j.this for j in node.args.get("joins") or [])
        yield from (lateral for lateral in node.args.get("laterals") or [])

    def _source(self, part: exp.Expression, scope: _Scope) -> None:
        """Enter what a FROM item is called into the scope; its inside is visited like any node."""
        todo = [part]
        while todo:
            item = todo.pop()
            alias = _alias(item)
            if isinstance(item, exp.Table):
                scope.sources[alias or f"\x00{len(scope.sources)}"] = self._real(item, scope)
            elif isinstance(item, exp.Subquery | exp.Paren) and isinstance(item.this, exp.Table | exp.Subquery):
                scope.sources.setdefault(alias or f"\x00{len(scope.sources)}", None)
                todo.append(item.this)
            else:
                scope.sources[alias or f"\x00{len(scope.sources)}"] = None
            todo.extend(j.this for j in item.args.get("joins") or [])

    def _real(self, table: exp.Expression, scope: _Scope) -> Ref | None:
        if not isinstance(table.this, exp.Identifier):
            return None
        schema = table.args.get("db")
        name = _name(table.this)
        if schema is None and name in scope.tables:
            return None
        return self._names.table(_name(schema) if schema is not None else "", name)

    def _table(self, node: exp.Expression, scope: _Scope) -> None:
        ref = self._real(node, scope)
        if ref is not None:
            self.uses.add(TableUse(*ref, "read"))
        self._push(list(_children(node, "alias", "db", "catalog")), scope)

    def _use(self, table: exp.Expression, action: str) -> Ref:
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            raise Unreadable("a target that is no table")
        schema = table.args.get("db")
        ref = self._names.table(_name(schema) if schema is not None else "", _name(table.this))
        self.uses.add(TableUse(*ref, action))
        return ref

    # Columns and keys.

    def _stars(self, expressions: list[exp.Expression], scope: _Scope) -> None:
        if any(isinstance(e, exp.Star) for e in expressions):
            self.columns.update(f"{ref[0]}.{ref[1]}.*" for ref in scope.sources.values() if ref)

    def _column(self, node: exp.Expression, scope: _Scope, reads: bool) -> None:
        ref, name = self._locate(node, scope)
        self.columns.add(f"{ref[0]}.{ref[1]}.{name}" if ref else f"?.{name}")
        at: _Scope | None = scope
        while reads and ref and at is not None:
            if at.target == ref:
                self.uses.add(TableUse(*ref, "read"))
            at = at.parent

    def _locate(self, node: exp.Expression, scope: _Scope) -> tuple[Ref | None, str]:
        """The table of a column, None where it cannot be told, and the column's name (`*` for the whole row)."""
        name = "*" if isinstance(node.this, exp.Star) else _name(node.this)
        table = node.args.get("table")
        if table is None:
            return self._locate_bare(name, scope)
        if node.args.get("db") is not None:
            return self._names.table(_name(node.args["db"]), _name(table)), name
        at: _Scope | None = scope
        while at is not None:
            if _name(table) in at.sources:
                return at.sources[_name(table)], name
            at = at.parent
        return None, name

    def _locate_bare(self, name: str, scope: _Scope) -> tuple[Ref | None, str]:
        found: list[_Scope] = []
        at: _Scope | None = scope
        while at is not None:
            if name in at.sources:
                return at.sources[name], "*"  # the whole row of that table
            if at.sources:
                found.append(at)
            at = at.parent
        if len(found) == 1 and len(found[0].sources) == 1:
            return next(iter(found[0].sources.values())), name
        return None, name

    def _equality(self, node: exp.Expression, scope: _Scope) -> None:
        left = _bare(node.this)
        values = node.expressions if isinstance(node, exp.In) else [node.expression]
        if not isinstance(node, exp.In) and type(left) is not exp.Column:
            left, values = _bare(node.expression), [node.this]
        if type(left) is not exp.Column or isinstance(left.this, exp.Star):
            return
        ref, name = self._locate(left, scope)
        for value in values:
            for row in self._folded_rows(value) or ():
                for plain in row:
                    self._plain_key(ref or ("?", "?"), name, plain)
            self._key(ref or ("?", "?"), name, value)

    def _stored(self, names: list[str], values: list[exp.Expression], target: Ref | None) -> None:
        ref = target or ("?", "?")
        rows = self._folded_rows(values[0]) if len(values) == 1 else None
        for row in rows or ():
            for name, plain in zip(names, row, strict=False):
                self._plain_key(ref, name, plain)
        if rows is None:
            for name, value in zip(names, values, strict=False):
                self._key(ref, name, value)

    def _folded_rows(self, value: exp.Expression) -> list[Row] | None:
        if type(value) is exp.Literal and value.name.startswith("r"):
            return self._folded[int(value.name[1:])]
        return None

    def _plain_key(self, ref: Ref, name: str, plain: Value) -> None:
        if plain is not None:
            kind, number, negative = plain
            self.keys[KeySlot(*ref, name, kind, number, negative)] = None

    def _key(self, ref: Ref, name: str, value: exp.Expression) -> None:
        value = _bare(value)
        negative = False
        array = False
        if isinstance(value, exp.Any):
            value = _bare(value.this)
            array = True
        if isinstance(value, exp.Neg):
            value = _bare(value.this)
            negative = True
        if type(value) is exp.Parameter and not negative:
            self.keys[KeySlot(*ref, name, "parameter", int(value.this.name), array=array)] = None
        elif type(value) is exp.Literal and not array and value.name.isdigit():
            self.keys[KeySlot(*ref, name, "literal", int(value.name), negative)] = None


def _bare(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _name(identifier: Any) -> str:
    if not isinstance(identifier, exp.Identifier) or not isinstance(identifier.this, str):
        raise Unreadable("a name that is no name")
    return identifier.this


def _alias(item: exp.Expression) -> str:
    alias = item.args.get("alias")
    if isinstance(alias, exp.TableAlias) and isinstance(alias.this, exp.Identifier):
        return _name(alias.this)
    if isinstance(item, exp.Table):
        inner = item.this
        if isinstance(inner, exp.Identifier):
            return _name(inner)
    return ""
