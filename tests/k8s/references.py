"""Whether everything that a build names is in the build, or is declared to be the user's."""

from collections.abc import Iterator, Sequence

from tests.k8s.manifests import Manifest, Workload, title, workloads

YOURS = {  # made by the user beforehand; docs/kubernetes.md lists them
    ("Secret", "seamline-token"),
    ("Secret", "seamline-webhook"),
    ("Secret", "seamline-iap"),
}
VOLUMES = {
    "configMap": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}
SOURCES = {
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
}
Name = tuple[str, str]


def what_is_named_exists(objects: Sequence[Manifest]) -> Iterator[str]:
    """Objects by kind and name; labels that a selector asks for; ports by name."""
    present = {(made["kind"], made["metadata"]["name"]) for made in objects} | YOURS
    for made in objects:
        for kind, name in (*_of_object(made), *_of_annotations(made)):
            if (kind, name) not in present:
                yield f"{title(made)}: there is no {kind}/{name}"
    for workload in workloads(objects):
        for kind, name in set(_of_pods(workload)):
            if (kind, name) not in present:
                yield f"{workload}: there is no {kind}/{name}"
    yield from _selected(objects)


def _of_pods(workload: Workload) -> Iterator[Name]:
    pod = workload.pod
    yield "ServiceAccount", pod.get("serviceAccountName", "default")
    if "priorityClassName" in pod:
        yield "PriorityClass", pod["priorityClassName"]
    for volume in pod.get("volumes", []):
        yield from ((kind, volume[key][field]) for key, (kind, field) in VOLUMES.items() if key in volume)
        for source in volume.get("projected", {}).get("sources", []):
            yield from ((VOLUMES[key][0], source[key]["name"]) for key in VOLUMES if key in source)
    for container in workload.containers:
        for source in (*container.get("envFrom", []), *(e.get("valueFrom", {}) for e in container.get("env", []))):
            yield from ((kind, source[key]["name"]) for key, kind in SOURCES.items() if key in source)


def _of_object(made: Manifest) -> Iterator[Name]:
    if made["kind"] == "RoleBinding":
        yield made["roleRef"]["kind"], made["roleRef"]["name"]
        yield from ((subject["kind"], subject["name"]) for subject in made["subjects"])
    if made["kind"] == "Ingress":
        yield "Service", made["spec"]["defaultBackend"]["service"]["name"]
    if made["kind"] == "BackendConfig" and "oauthclientCredentials" in made["spec"].get("iap", {}):
        yield "Secret", made["spec"]["iap"]["oauthclientCredentials"]["secretName"]


def _of_annotations(made: Manifest) -> Iterator[Name]:
    annotations = made["metadata"].get("annotations", {})
    for key, kind in (
        ("networking.gke.io/managed-certificates", "ManagedCertificate"),
        ("networking.gke.io/v1beta1.FrontendConfig", "FrontendConfig"),
    ):
        if key in annotations:
            yield kind, annotations[key]
    if "cloud.google.com/backend-config" in annotations:
        yield "BackendConfig", annotations["cloud.google.com/backend-config"].split('"')[3]


def _selected(objects: Sequence[Manifest]) -> Iterator[str]:
    labels = [workload.template["metadata"].get("labels", {}) for workload in workloads(objects)]
    ports = {
        port.get("name")
        for w in workloads(objects)
        for container in w.containers
        for port in container.get("ports", [])
    }
    for made in objects:
        spec = made.get("spec", {})
        if made["kind"] == "Service":
            wanted = spec["selector"]
            unknown = {port["targetPort"] for port in spec["ports"]} - ports
        else:
            selector = spec.get("podSelector" if made["kind"] == "NetworkPolicy" else "selector", {})
            wanted = selector.get("matchLabels", {})
            rules = [*spec.get("ingress", []), *spec.get("egress", [])] if made["kind"] == "NetworkPolicy" else []
            used = {port["port"] for rule in rules for port in rule.get("ports", [])}
            unknown = {port for port in used if isinstance(port, str)} - ports
        if not any(wanted.items() <= present.items() for present in labels):
            yield f"{title(made)}: no Pod has the labels {wanted}"
        if unknown:
            yield f"{title(made)}: no container has a port {', '.join(map(str, unknown))}"
