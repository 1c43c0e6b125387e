import { graphql } from 'relay-runtime';

graphql`
  query AnythingQuery($id: ID!) {
    node(id: $id) {
      __typename
      ...Anything_source @alias(as: "sourced")
      ... on Item {
        number @required(action: LOG)
        bom {
          lines {
            quantity
            unit
            item {
              number
            }
          }
        }
      }
    }
  }
`;

graphql`
  fragment Anything_source on Sourced @refetchable(queryName: "AnythingSourceRefetchQuery") {
    source {
      integration
      asOf
    }
    sameAs {
      id
      source {
        integration
      }
    }
  }
`;
