"""The page of routes and clients is whole."""

import importlib
import pkgutil

from pipeline.server import api
from tests.conformance import route_table


def served() -> set[str]:
    modules = [importlib.import_module(f"pipeline.server.api.{m.name}") for m in pkgutil.iter_modules(api.__path__)]
    routes = [route for module in modules for route in getattr(module, "routes", ())]
    return {f"{method} {route.path}" for route in routes for method in route.methods}


def test_the_server_has_every_route_of_kfp():
    assert len(route_table.ROUTES) == 34
    assert set(route_table.ROUTES) - served() == set()


def test_every_route_has_been_driven_by_a_client():
    page = route_table.read()
    assert [route for route in route_table.ROUTES if not page.get(route)] == []
    assert set(page) == set(route_table.ROUTES)
