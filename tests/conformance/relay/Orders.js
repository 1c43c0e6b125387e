import { graphql } from 'relay-runtime';

graphql`
  query OrdersQuery($count: Int!, $filter: OrderFilter) {
    ...Orders_list @arguments(count: $count, filter: $filter)
  }
`;

graphql`
  fragment Orders_list on Query
  @refetchable(queryName: "OrdersPaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" }, filter: { type: "OrderFilter" }) {
    orders(first: $count, after: $cursor, filter: $filter, orderBy: [{ field: NUMBER }]) @connection(key: "Orders_orders") {
      edges {
        node {
          id
          ...Orders_row
        }
      }
      totalCount
    }
  }
`;

graphql`
  fragment Orders_row on Order {
    number
    status
    vehicle {
      ...Vehicles_card
    }
  }
`;
