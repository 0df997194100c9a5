"""The manifests: valid for Kubernetes, bound to one another, and with commands that the CLI knows."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from command_lines import refused

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.30", "1.37")


def documents(*paths: Path) -> list[dict[str, Any]]:
    return [one for path in paths or FILES for one in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [one for one in documents() if one["kind"] in kinds]


WORKLOADS = of_kind("Deployment", "StatefulSet")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_kubernetes_takes_it(path: Path, version: str) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_validator_would_see_a_wrong_field() -> None:
    (proxy,) = [one for one in WORKLOADS if one["metadata"]["name"] == "proxy"]
    proxy = yaml.safe_load(yaml.safe_dump(proxy))
    proxy["spec"]["replicas"] = "two"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(proxy, VERSIONS[-1], strict=True)


def test_the_kustomization_names_every_file_and_the_documented_site() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [path.name for path in FILES]
    (generated,) = kustomization["configMapGenerator"]
    name, _, source = generated["files"][0].partition("=")
    assert name == "site.yaml"
    assert (FOLDER / source).read_text() == (ROOT / "docs" / "examples" / Path(source).name).read_text()


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
def test_each_role_runs_without_privileges_and_says_a_command_that_the_cli_knows(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    settings = {**documents(FOLDER / "settings.yaml")[0]["data"], "POD_IP": "10.0.0.7"}
    arguments = container["args"]
    for name, value in settings.items():
        arguments = [argument.replace(f"$({name})", value) for argument in arguments]
    assert not any("$(" in argument for argument in arguments)
    assert refused(arguments) is None
    assert f"--role={workload['metadata']['name']}" in arguments
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    made = {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])}
    assert mounted == {volume["name"] for volume in pod["volumes"]} | made


def test_selectors_budgets_and_scaling_point_at_workloads_that_are_there() -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS}
    for service in of_kind("Service"):
        assert service["spec"]["selector"] in labels.values()
    budgets = of_kind("PodDisruptionBudget")
    assert {one["metadata"]["name"] for one in budgets} == set(labels)
    for budget in budgets:
        assert budget["spec"]["selector"]["matchLabels"] == labels[budget["metadata"]["name"]]
    kinds = {(one["kind"], one["metadata"]["name"]) for one in WORKLOADS}
    for scaler in of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in kinds
