"""Entities with other keys than `id`, over the schema of Apollo's compatibility tests."""

from typing import Any

import pytest

from graph.engine.execution import Engine
from graph.engine.limits import Limits
from graph.engine.request import GraphQLRequest
from resolvers.context import Context
from resolvers.loaders import Loaders
from resolvers.sources import Sources
from tests.conformance.products.schema import make_schema
from tests.graph.harness import Anybody, Still

ASKED = """query ($r: [_Any!]!) {
  _entities(representations: $r) {
    __typename
    ... on Product { id }
    ... on DeprecatedProduct { reason }
    ... on ProductResearch { study { description } }
    ... on User { email averageProductsCreatedPerYear }
    ... on Inventory { deprecatedProducts { sku } }
  }
}"""
SUPPORT = "support@apollographql.com"


async def entities(*representations: Any) -> tuple[list[Any], dict[int, str]]:
    """What they lead to, and what is told of each that is wrong."""

    def report(failure: str, error: BaseException) -> None:
        raise error

    engine = Engine(make_schema(), Limits(), report)
    context = Context(
        principal=Anybody(),
        sources=Sources("default", [], []),
        live=Still(),
        cursor_key=b"k" * 32,
        make_loaders=Loaders,
    )
    request = GraphQLRequest(query=ASKED, variables={"r": list(representations)})
    prepared, operation = await engine.prepare(request, context)
    answer = await engine.run(request, prepared, operation, context)
    return answer.data["_entities"], {error.path[1]: error.message for error in answer.errors or () if error.path}  # type: ignore[misc]


async def test_the_first_key_that_is_whole_is_taken() -> None:
    found, errors = await entities(
        {"__typename": "Product", "id": "apollo-federation"},
        {"__typename": "Product", "sku": "federation", "package": "@apollo/federation"},
        {"__typename": "Product", "sku": "studio", "variation": {"id": "platform"}},
        {"__typename": "Product", "id": None, "sku": "studio", "package": None, "variation": {"id": "platform"}},
        {"__typename": "DeprecatedProduct", "sku": "apollo-federation-v1", "package": "@apollo/federation-v1"},
        {"__typename": "ProductResearch", "study": {"caseNumber": 1234, "description": "not looked at"}},
        {"__typename": "Inventory", "id": "apollo-oss"},
        {"__typename": "Inventory", "id": "another"},
    )
    assert errors == {}
    assert found == [
        {"__typename": "Product", "id": "apollo-federation"},
        {"__typename": "Product", "id": "apollo-federation"},
        {"__typename": "Product", "id": "apollo-studio"},
        {"__typename": "Product", "id": "apollo-studio"},
        {"__typename": "DeprecatedProduct", "reason": "Migrate to Federation V2"},
        {"__typename": "ProductResearch", "study": {"description": "Federation Study"}},
        {"__typename": "Inventory", "deprecatedProducts": [{"sku": "apollo-federation-v1"}]},
        None,
    ]


PRODUCT = "a representation of Product needs one of its keys: `id`, `sku package`, `sku variation { id }`"
NUMBER = "ProductResearch.study.caseNumber in a representation: ID cannot represent value"


@pytest.mark.parametrize(
    ("representation", "told"),
    [
        ({"__typename": "Product", "sku": "studio"}, PRODUCT),
        ({"__typename": "Product", "sku": "studio", "variation": "platform"}, PRODUCT),
        ({"__typename": "Product", "sku": "studio", "variation": {}}, PRODUCT),
        ({"__typename": "Product", "id": []}, "Product.id in a representation: ID cannot represent value: []"),
        ({"__typename": "ProductResearch", "study": {"caseNumber": {}}}, NUMBER + ": {}"),
        (
            {"__typename": "ProductResearch", "study": []},
            "a representation of ProductResearch needs its `study { caseNumber }`",
        ),
        (
            {"__typename": "User", "email": SUPPORT, "totalProductsCreated": "x"},
            "User.totalProductsCreated in a representation: Int cannot represent non-integer value: 'x'",
        ),
        (
            {"__typename": "User", "email": SUPPORT, "yearsOfEmployment": None},
            "User.yearsOfEmployment in a representation is null",
        ),
        (
            {"__typename": "ProductVariation", "id": "OSS"},
            "the `__typename` of a representation is 'ProductVariation'; the entities are: DeprecatedProduct, "
            "Inventory, Product, ProductResearch, User",
        ),
    ],
)
async def test_a_key_that_is_none_is_told(representation: dict[str, Any], told: str) -> None:
    good = {"__typename": "Product", "id": "apollo-studio"}
    found, errors = await entities(representation, good)
    assert found == [None, {"__typename": "Product", "id": "apollo-studio"}]
    assert errors == {0: told}


async def test_what_another_subgraph_gave_is_required_by_its_name_and_type() -> None:
    required = {"totalProductsCreated": 20, "yearsOfEmployment": 4}
    found, errors = await entities(
        {"__typename": "User", "email": SUPPORT, **required},
        {"__typename": "User", "email": SUPPORT, **required, "name": "Mallory", "info": "x", "cls": "x", "self": "x"},
    )
    assert errors == {}
    assert found == [{"__typename": "User", "email": SUPPORT, "averageProductsCreatedPerYear": 5}] * 2
