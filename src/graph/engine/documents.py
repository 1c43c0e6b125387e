"""Documents, parsed and validated once, kept by their text."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
from graphql import (
    SKIP,
    ArgumentNode,
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    ListValueNode,
    NoSchemaIntrospectionCustomRule,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    TypeInfo,
    ValidationContext,
    ValidationRule,
    ValueNode,
    ValuesOfCorrectTypeRule,
    Visitor,
    VisitorAction,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.utilities.validate_input_value import validate_input_literal
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.engine.limits import LimitExceeded, Limits, Measures, check, measure
from graph.engine.overlaps import TooMany, overlaps
from resolvers.errors import ClientError

__all__ = ["Documents", "Operation", "Prepared", "RequestRefused", "TypeInfo", "refusal"]

KEPT_CHARACTERS = 262_144
"""Characters of all documents that are kept; parsed, they take some 90 times as many bytes."""
LONGEST_KEPT = 32_768
"""Characters of a document that is still kept; a longer one is parsed every time."""
SHORT = 500
"""Characters up to which a document is prepared at once; a longer one in a thread, so that others go on meanwhile."""
LONGEST_MESSAGE = 500
"""Characters of an error's message: some repeat what they do not like."""


class RequestRefused(Exception):
    """A request that is not executed. `errors` are fit to show; `stage` says how far it got, `kind` which kind of
    operation it is, as far as is known."""

    def __init__(self, errors: list[GraphQLError], stage: str, kind: str = "unknown") -> None:
        super().__init__(errors[0].message if errors else stage)
        self.errors, self.stage, self.kind = errors, stage, kind


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a document."""

    name: str | None
    node: Any
    type: OperationType
    measures: Measures
    priced: dict[Any, Any] = {}
    """What it costs, by organisation and variables: see `pricing`."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A valid document. `operations` by name; a nameless one under null."""

    text: str
    document: Any
    operations: dict[str | None, Operation]

    def operation(self, name: str | None) -> Operation:
        """The operation that is meant. Raises `RequestRefused` where that is not said."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name) if name is not None else None
        if found is not None:
            return found
        if name is None:
            text = "the document has several operations: say in `operationName` which one"
        else:
            text = f"the document has no operation {name[:100]!r}"
        raise RequestRefused([_error(text, "OPERATION_RESOLUTION_FAILURE")], "operation")


class _EmptySelections(Visitor):
    """GraphQL wants at least one selection; graphql-core's parser lets empty sets pass."""

    def __init__(self) -> None:
        super().__init__()
        self.found: SelectionSetNode | None = None

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:
        if not node.selections and self.found is None:
            self.found = node


class _Values(ValuesOfCorrectTypeRule):
    """What a scalar of ours says of a literal is told with the place of the literal, and with its argument and field:
    graphql-core gives neither to an error that a scalar raises itself."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._argument = ""

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        self._argument = node.name.value

    def leave_argument(self, *_: Any) -> None:
        self._argument = ""

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        def tell(error: GraphQLError, path: list[str | int]) -> None:
            self.report_error(error if error.nodes else self._placed(error, node, path))

        if input_type:
            validate_input_literal(node, input_type, tell, None, None, self.context.hide_suggestions)
        return SKIP

    def _placed(self, error: GraphQLError, node: ValueNode, path: list[str | int]) -> GraphQLError:
        name = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in (self._argument, *path) if part != ""
        )
        for part in path:
            if isinstance(node, ListValueNode) and isinstance(part, int):
                node = node.values[part]
            elif isinstance(node, ObjectValueNode):
                node = next((each.value for each in node.fields if each.name.value == part), node)
        where = name.removeprefix(".")
        return GraphQLError(f"{where}: {error.message}" if where else error.message, node)


_RULES: Final = tuple(_Values if each is ValuesOfCorrectTypeRule else each for each in specified_rules)


class _NoService(ValidationRule):
    """`_service` tells a gateway the whole schema (Apollo Federation): closed where introspection is."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value == "_service" and self.context.get_parent_type() is self.context.schema.query_type:
            text = "GraphQL introspection has been disabled, but the requested query contained the field '_service'."
            self.report_error(GraphQLError(text, node))


class Documents:
    """Prepares documents for one schema. Bounded: the least used ones are forgotten."""

    def __init__(self, schema: Any, limits: Limits) -> None:
        self._schema, self._limits = schema, limits
        self._kept: OrderedDict[tuple[str, bool], Prepared] = OrderedDict()
        self._characters = 0
        # one: two would not be faster, and take twice as much from who waits for other things
        self._thread = ThreadPoolExecutor(1, "documents")

    def known(self, text: str, *, introspection: bool) -> bool:
        """Whether it costs nothing to prepare the document."""
        return (text, introspection) in self._kept

    async def prepare(self, text: str, *, introspection: bool) -> Prepared:
        """The document, valid and within the limits. Without `introspection`, names of the schema are not
        given away either. Raises `RequestRefused`."""
        key = (text, introspection)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        if len(text) > self._limits.characters:
            advice = "Send a shorter document; give long texts as variables."
            limit = self._limits.characters
            longer = LimitExceeded("CHARACTER_LIMIT", "a number of characters", limit, len(text), advice)
            raise refusal(longer, "parse")
        if len(text) <= SHORT:
            prepared = self._prepared(text, introspection)
        else:
            loop = asyncio.get_running_loop()
            prepared = await loop.run_in_executor(self._thread, self._prepared, text, introspection)
        if len(text) <= LONGEST_KEPT and key not in self._kept:
            self._kept[key] = prepared
            self._characters += len(text)
            while self._characters > KEPT_CHARACTERS:
                (oldest, _), _ = self._kept.popitem(last=False)
                self._characters -= len(oldest)
        return prepared

    def _prepared(self, text: str, introspection: bool) -> Prepared:
        document = self._parse(text)
        sizes = self._measured(document)
        errors = self._validate(document, introspection)
        if errors:
            coded = [_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors]
            raise RequestRefused(coded, "validation", _kind(document))
        return Prepared(text=text, document=document, operations=_operations(document, sizes))

    def _parse(self, text: str) -> DocumentNode:
        try:
            document = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            if "tokens" in error.message and "more than" in error.message:
                refused = LimitExceeded(
                    "TOKEN_LIMIT",
                    "a number of tokens",
                    self._limits.tokens,
                    self._limits.tokens + 1,
                    "Send a shorter document; give values as variables.",
                )
                raise refusal(refused, "parse") from None
            raise RequestRefused([_coded(error, "GRAPHQL_PARSE_FAILED")], "parse") from None
        except RecursionError:
            fault = _error("the document is nested too deeply", "GRAPHQL_PARSE_FAILED")
            raise RequestRefused([fault], "parse") from None
        empty = _EmptySelections()
        visit(document, empty)
        if empty.found is not None:
            bare = GraphQLError("Syntax Error: a selection set needs at least one field.", nodes=[empty.found])
            raise RequestRefused([_coded(bare, "GRAPHQL_PARSE_FAILED")], "parse")
        return document

    def _measured(self, document: DocumentNode) -> dict[int, Measures]:
        try:
            sizes = measure(document)
        except RecursionError:
            raise RequestRefused([_error("the document is nested too deeply", "DEPTH_LIMIT")], "limits") from None
        for size in sizes.values():
            try:
                check(size, self._limits)
            except LimitExceeded as refused:
                raise refusal(refused, "limits", _kind(document)) from None
        try:
            overlaps(document, self._limits.overlaps)
        except TooMany as found:
            advice = "Select each field once, and merge fragments."
            many = LimitExceeded("OVERLAP_LIMIT", "a number of overlaps", self._limits.overlaps, found.found, advice)
            raise refusal(many, "limits", _kind(document)) from None
        return sizes

    def _validate(self, document: DocumentNode, introspection: bool) -> list[GraphQLError]:
        rules: list[type[ASTValidationRule]] = [*_RULES, MaybeNullValidationRule, OneOfInputValidationRule]
        if not introspection:
            rules += [NoSchemaIntrospectionCustomRule, _NoService]
        return validate(
            self._schema, document, rules, max_errors=self._limits.errors, hide_suggestions=not introspection
        )


def _operations(document: DocumentNode, sizes: dict[int, Measures]) -> dict[str | None, Operation]:
    found: dict[str | None, Operation] = {}
    for index, node in enumerate(document.definitions):
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            found[name] = Operation(name=name, node=node, type=node.operation, measures=sizes[index])
    if not found:
        raise RequestRefused([_error("the document has no operation", "OPERATION_RESOLUTION_FAILURE")], "operation")
    return found


def _error(text: str, code: str) -> GraphQLError:
    return GraphQLError(text, extensions={"code": code})


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    message = error.message
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]} …"
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code, **(error.extensions or {})},
    )


def refusal(error: ClientError, stage: str, kind: str = "unknown") -> RequestRefused:
    """The refusal for an error of ours."""
    return RequestRefused([GraphQLError(error.message, extensions=error.extensions)], stage, kind)


def _kind(document: DocumentNode) -> str:
    kinds = {each.operation.value for each in document.definitions if isinstance(each, OperationDefinitionNode)}
    return kinds.pop() if len(kinds) == 1 else "unknown"
