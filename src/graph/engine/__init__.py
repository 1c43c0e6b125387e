"""From a request to answers: parse, measure, validate, execute; without any transport."""
