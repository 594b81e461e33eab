"""The Helm chart: rendered by Helm's own library, its objects read by Kubernetes' own schemas."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import settings
from deploy_files import DEPLOY

CHART = DEPLOY / "helm" / "neurosieve"
KUBERNETES = ("1.27.0", "1.30.0", "1.33.0")
EVERYTHING: dict[str, Any] = {
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": [{"name": "registry"}]},
    "files": {"url": "s3://neurosieve/node", "existingSecret": "neurosieve-bucket"},
    "listener": {"replicas": 2, "service": {"type": "LoadBalancer", "nodePort": 30112}},
    "worker": {"replicas": 3, "gpu": {"enabled": True, "runtimeClassName": "nvidia"}},
    "training": {"enabled": True, "gpu": {"enabled": True}},
    "secretFiles": {"existingSecret": "neurosieve-files"},
    "networkPolicy": {
        "dicomFrom": [{"ipBlock": {"cidr": "10.1.2.0/24"}}],
        "statusFrom": [{"namespaceSelector": {}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.1.2.0/24"}}], "ports": [{"port": 104}]}],
    },
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "status": {
        "hosts": ["ai.hospital.example"],
        "metricsToken": {"existingSecret": "neurosieve-metrics"},
    },
}
OPERATORS = {"ServiceMonitor", "PrometheusRule"}  # kinds of the Prometheus Operator


@pytest.fixture(scope="module")
def helm() -> Any:
    return pytest.importorskip("helm_python", reason="Helm is not here (PyPI helm-python-sdk)")


def rendered(helm: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="node", namespace="radiology")
    return [
        part
        for name, text in files.items()
        if not name.endswith("NOTES.txt")
        for part in yaml.safe_load_all(text)
        if part
    ]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    }


def test_helm_lint_has_no_complaint(helm: Any) -> None:
    report = helm.lint(str(CHART), strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_kubernetes_knows_every_object_and_field(
    helm: Any, values: dict[str, Any], version: str
) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="schemas are not here (PyPI kubernetes-validate)"
    )
    objects = rendered(helm, values)
    assert len(objects) >= 7
    for one in objects:
        if one["kind"] not in OPERATORS:
            validate.validate(one, version, strict=True)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_pod_meets_the_restricted_standard(helm: Any, values: dict[str, Any]) -> None:
    """Kubernetes' Pod Security Standards, level "restricted"."""
    for name, pod in pods(rendered(helm, values)).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["capabilities"] == {"drop": ["ALL"]}


def test_each_worker_has_a_slot_that_outlives_its_pod(helm: Any) -> None:
    (container,) = pods(rendered(helm, EVERYTHING))["node-neurosieve-worker"]["containers"]
    environment = {one["name"]: one for one in container["env"]}
    slot = environment["NEUROSIEVE_NODE__SLOT"]
    assert slot["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment["NEUROSIEVE_MODEL__PROVIDER"]["value"] == "cuda"


def test_the_database_password_is_never_written_into_a_manifest(helm: Any) -> None:
    for pod in pods(rendered(helm, EVERYTHING)).values():
        (url,) = [
            one
            for one in pod["containers"][0]["env"]
            if one["name"] == "NEUROSIEVE_NODE__DATABASE_URL"
        ]
        assert set(url["valueFrom"]) == {"secretKeyRef"}


def test_a_bucket_is_the_same_for_all_pods_and_its_copies_stay_on_each_machine(helm: Any) -> None:
    for name, pod in pods(rendered(helm, EVERYTHING)).items():
        (container,) = pod["containers"]
        environment = {one["name"]: one for one in container["env"]}
        assert environment["NEUROSIEVE_NODE__FILES_URL"]["value"] == "s3://neurosieve/node", name
        secret = environment["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]
        assert secret == {"name": "neurosieve-bucket", "key": "AWS_SECRET_ACCESS_KEY"}
        (cache,) = (one for one in pod["volumes"] if one["name"] == "cache")
        assert "emptyDir" in cache
    for pod in pods(rendered(helm, {})).values():
        assert "cache" not in {one["name"] for one in pod["volumes"]}


def test_without_peers_nobody_may_send(helm: Any) -> None:
    (policy,) = [one for one in rendered(helm, {}) if one["kind"] == "NetworkPolicy"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not policy["spec"]["ingress"]


def test_the_shipped_configuration_is_one_the_node_reads(helm: Any, tmp_path: Path) -> None:
    (held,) = [one for one in rendered(helm, {}) if one["kind"] == "ConfigMap"]
    file = tmp_path / "agent.toml"
    file.write_text(held["data"]["agent.toml"], encoding="utf-8")
    assert settings.load(file).node.ae_title == "NEUROSIEVE"


@pytest.mark.parametrize(
    "wrong",
    [
        {"worker": {"replicas": -1}},
        {"database": {"existingSecret": ""}},
        {"persistence": {"size": "much"}},
        {"listener": {"service": {"type": "Ingress"}}},
        {"workers": {}},
    ],
    ids=["replicas", "secret", "size", "service", "typing error"],
)
def test_values_that_cannot_work_are_refused(helm: Any, wrong: dict[str, Any]) -> None:
    with helm.Chart.load(str(CHART)) as chart, pytest.raises(helm.HelmValuesError):
        chart.validate_schema(wrong)


def test_the_chart_runs_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project["project"]["version"]


def test_the_rules_are_those_that_prometheus_alone_would_read(helm: Any) -> None:
    (rules,) = (one for one in rendered(helm, EVERYTHING) if one["kind"] == "PrometheusRule")
    text = (DEPLOY / "monitoring" / "alerts.yaml").read_text(encoding="utf-8")
    assert rules["spec"]["groups"] == yaml.safe_load(text)["groups"]


def test_the_page_answers_the_probes_and_prometheus_has_its_token(helm: Any) -> None:
    objects = rendered(helm, EVERYTHING)
    (listener,) = (
        pod["containers"][0] for name, pod in pods(objects).items() if name.endswith("-listener")
    )
    said = {one["name"]: one.get("value") for one in listener["env"]}
    assert said["NEUROSIEVE_STATUS__HOST"] == "0.0.0.0"
    assert said["NEUROSIEVE_STATUS__HOSTS"] == '["ai.hospital.example"]'
    folder, _, key = str(said["NEUROSIEVE_STATUS__METRICS_TOKEN_FILE"]).rpartition("/")
    assert folder in {one["mountPath"] for one in listener["volumeMounts"]}
    (monitor,) = (one for one in objects if one["kind"] == "ServiceMonitor")
    credentials = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]
    assert credentials == {"name": "neurosieve-metrics", "key": key}


def test_prometheus_calls_the_job_what_the_rules_ask_for(helm: Any) -> None:
    objects = rendered(helm, EVERYTHING)
    (monitor,) = (one for one in objects if one["kind"] == "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (watched,) = (
        one
        for one in objects
        if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()
    )
    job = watched["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    (rules,) = (one for one in objects if one["kind"] == "PrometheusRule")
    asked = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert f'up{{job="{job}"}} == 0' in asked


def test_the_page_of_a_node_that_is_not_ready_can_be_seen(helm: Any) -> None:
    services = [one for one in rendered(helm, {}) if one["kind"] == "Service"]
    seen = {
        one["metadata"]["name"]: one["spec"].get("publishNotReadyAddresses", False)
        for one in services
    }
    assert seen["node-neurosieve-status"] is True
    assert seen["node-neurosieve"] is False


def test_no_configuration_switches_off_what_the_probes_ask(helm: Any, tmp_path: Path) -> None:
    """The environment beats agentToml: a page that is off or elsewhere would never be ready."""
    values = {"agentToml": '[status]\nenabled = false\nhost = "127.0.0.1"\nport = 9\n'}
    objects = rendered(helm, values)
    (held,) = (one for one in objects if one["kind"] == "ConfigMap")
    (tmp_path / "agent.toml").write_text(held["data"]["agent.toml"], encoding="utf-8")
    (container,) = pods(objects)["node-neurosieve-listener"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"] if "STATUS__" in one["name"]}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        status = settings.load(tmp_path / "agent.toml").status
    probe = container["readinessProbe"]["httpGet"]["port"]
    (port,) = (one["containerPort"] for one in container["ports"] if one["name"] == probe)
    assert (status.enabled, status.host, status.port) == (True, "0.0.0.0", port)


def test_a_service_monitor_without_a_token_is_refused(helm: Any) -> None:
    with pytest.raises(Exception, match="metricsToken"):
        rendered(helm, {"serviceMonitor": {"enabled": True}})
