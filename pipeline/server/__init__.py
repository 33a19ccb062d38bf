"""KFP's v2beta1 REST API and the web console over the embedded engine."""
