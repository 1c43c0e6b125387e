"""The subgraph `products` of Apollo's compatibility tests: types, keys and data are the tests' (products.graphql in
@apollo/federation-subgraph-compatibility-tests), everything else is Crossdock's own.
"""

from typing import Any

import strawberry
from strawberry.schema_directive import Location

from graph.schema import Schema


@strawberry.federation.schema_directive(
    locations=[Location.OBJECT], name="custom", compose=True, import_url="https://myspecs.dev/myCustomDirective/v1.0"
)
class Custom: ...


@strawberry.federation.type(name="User", keys=["email"], extend=True)
class User:
    email: strawberry.ID = strawberry.federation.field(external=True)
    total_products_created: int | None = strawberry.federation.field(external=True)
    years_of_employment: int = strawberry.federation.field(external=True)
    name: str | None = strawberry.federation.field(override="users", default="Jane Smith")

    @strawberry.federation.field(requires=["totalProductsCreated", "yearsOfEmployment"])
    def average_products_created_per_year(self) -> int | None:
        if self.total_products_created is None:
            return None
        return round(self.total_products_created / self.years_of_employment)

    @classmethod
    async def resolve_reference(
        cls,
        info: Any,
        email: str,
        total_products_created: int | None = None,
        years_of_employment: int | None = None,
    ) -> "User | None":
        """The last two are sent by a gateway that asks for what requires them."""
        if email != USER.email:
            return None
        years = USER.years_of_employment if years_of_employment is None else years_of_employment
        return cls(email=USER.email, total_products_created=total_products_created, years_of_employment=years)


@strawberry.type
class CaseStudy:
    case_number: strawberry.ID
    description: str | None = None


@strawberry.federation.type(keys=["study { caseNumber }"])
class ProductResearch:
    study: CaseStudy
    outcome: str | None = None

    @classmethod
    async def resolve_reference(cls, info: Any, study: dict[str, Any]) -> "ProductResearch | None":
        return next((each for each in RESEARCH if each.study.case_number == study["caseNumber"]), None)


@strawberry.type
class ProductVariation:
    id: strawberry.ID


@strawberry.federation.type(shareable=True)
class ProductDimension:
    size: str | None
    weight: float | None
    unit: str | None = strawberry.federation.field(inaccessible=True)


@strawberry.federation.type(keys=["sku package"])
class DeprecatedProduct:
    sku: str
    package: str
    reason: str | None = None
    created_by: User | None = None

    @classmethod
    async def resolve_reference(cls, info: Any, sku: str, package: str) -> "DeprecatedProduct | None":
        return DEPRECATED if (sku, package) == (DEPRECATED.sku, DEPRECATED.package) else None


@strawberry.federation.type(keys=["id", "sku package", "sku variation { id }"], directives=[Custom()])
class Product:
    id: strawberry.ID
    sku: str | None
    package: str | None
    variation: ProductVariation | None
    dimensions: ProductDimension | None
    research: list[ProductResearch]
    notes: str | None = strawberry.federation.field(tags=["internal"], default=None)

    @strawberry.federation.field(provides=["totalProductsCreated"])
    def created_by(self) -> User | None:
        return USER

    @classmethod
    async def resolve_reference(
        cls,
        info: Any,
        id: str | None = None,
        sku: str | None = None,
        package: str | None = None,
        variation: dict[str, Any] | None = None,
    ) -> "Product | None":
        for each in PRODUCTS:
            same = each.variation is not None and variation is not None and each.variation.id == variation["id"]
            if each.id == id or (each.sku == sku and (each.package == package or same)):
                return each
        return None


@strawberry.federation.interface_object(name="Inventory", keys=["id"])
class Inventory:
    id: strawberry.ID
    deprecated_products: list[DeprecatedProduct]

    @classmethod
    async def resolve_reference(cls, info: Any, id: str) -> "Inventory | None":
        return cls(id=strawberry.ID(id), deprecated_products=[DEPRECATED]) if id == "apollo-oss" else None


@strawberry.type
class Query:
    @strawberry.field
    def product(self, id: strawberry.ID) -> Product | None:
        return next((each for each in PRODUCTS if each.id == id), None)

    @strawberry.field(deprecation_reason="Use product query instead")
    def deprecated_product(self, sku: str, package: str) -> DeprecatedProduct | None:
        return DEPRECATED if (sku, package) == (DEPRECATED.sku, DEPRECATED.package) else None


USER = User(email=strawberry.ID("support@apollographql.com"), total_products_created=1337, years_of_employment=10)
RESEARCH = [
    ProductResearch(study=CaseStudy(case_number=strawberry.ID("1234"), description="Federation Study")),
    ProductResearch(study=CaseStudy(case_number=strawberry.ID("1235"), description="Studio Study")),
]
DEPRECATED = DeprecatedProduct(
    sku="apollo-federation-v1",
    package="@apollo/federation-v1",
    reason="Migrate to Federation V2",
    created_by=USER,
)
PRODUCTS = [
    Product(
        id=strawberry.ID("apollo-federation"),
        sku="federation",
        package="@apollo/federation",
        variation=ProductVariation(id=strawberry.ID("OSS")),
        dimensions=ProductDimension(size="small", weight=1, unit="kg"),
        research=[RESEARCH[0]],
    ),
    Product(
        id=strawberry.ID("apollo-studio"),
        sku="studio",
        package="",
        variation=ProductVariation(id=strawberry.ID("platform")),
        dimensions=ProductDimension(size="small", weight=1, unit="kg"),
        research=[RESEARCH[1]],
    ),
]


def make_schema() -> Schema:
    """At version 2.3, the newest that the tests know."""
    return Schema(query=Query, types=[Inventory], federation_version="2.3")
