"""KFP's v2beta1 REST API, and our own extensions under `/seamline/v1`."""
