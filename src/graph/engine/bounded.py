"""Execution that counts what it answers: the estimate of an operation's cost takes lists to be as long as they usually
are, and some are longer."""

from typing import Any

from graphql import GraphQLObjectType
from graphql.execution import Executor
from graphql.pyutils import AwaitableOrValue


class AnswerTooLong(Exception):
    """An answer has more fields than it may have; the execution has ended."""


class BoundedExecutor(Executor[Any]):
    """Raises `AnswerTooLong` out of the execution, whatever may be null, once the answer has more than `most`
    fields."""

    most: int
    answered = 0

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        self.answered += len(grouped_field_set)
        if self.answered > self.most:
            raise AnswerTooLong
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def handle_field_error(self, raw_error: Exception, return_type: Any, field_details_list: Any, path: Any) -> None:
        if isinstance(raw_error, AnswerTooLong):
            raise raw_error
        super().handle_field_error(raw_error, return_type, field_details_list, path)
