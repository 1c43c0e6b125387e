import { graphql } from 'relay-runtime';

graphql`
  query VehiclesQuery {
    vehicles(first: 100) {
      nodes {
        id
        ...Vehicles_card
      }
    }
  }
`;

graphql`
  fragment Vehicles_card on Vehicle @refetchable(queryName: "VehiclesCardRefetchQuery") {
    name
    plate
    position {
      latitude
      recordedAt
    }
  }
`;

graphql`
  subscription VehiclesSubscription($filter: VehicleFilter) {
    vehicleChanged(filter: $filter) {
      ...Vehicles_card
    }
  }
`;
