"""The node's configuration: what the chart hands over, validated before anything starts.

The file has two sections. `node` uses the vantage6 node configuration's own key names
(https://docs.vantage6.ai, "Configure the node"); `kubernetes` holds what the chart knows about the
cluster and vantage6 has no word for.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, model_validator

from launcher.config.kubernetes import KubernetesSection
from launcher.config.node import NodeSection
from launcher.config.profiles import out_of_place
from launcher.section import SENTENCES, Section, refuse

UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


class ConfigError(Exception):
    """The configuration can't be used; the message is one sentence per fault, naming the key."""


class NodeConfig(Section):
    """The whole configuration file."""

    node: NodeSection
    kubernetes: KubernetesSection

    @model_validator(mode="after")
    def _profiles_fit(self) -> "NodeConfig":
        jobs = self.kubernetes.jobs
        refuse(
            out_of_place(
                jobs.profiles,
                jobs.profileRules,
                labels=tuple(database.label for database in self.node.databases),
                gpu=self.node.algorithm_device_requests.gpu,
                protocol=self.kubernetes.protocol,
            )
        )
        return self

    @classmethod
    def load(cls, path: Path) -> "NodeConfig":
        """Read and validate the configuration file.

        Raises:
            ConfigError: the file is missing, not YAML, or has a fault; one sentence per fault.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except OSError as error:
            raise ConfigError(
                f"{path} can't be read ({error.strerror}); give the configuration file's path."
            ) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
        except ValidationError as error:
            raise ConfigError(" ".join(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Any) -> str:
    if fault["type"] == SENTENCES:
        return str(fault["msg"])
    key = ".".join(str(part) for part in fault["loc"]) or "the file"
    value = "" if isinstance(fault["input"], dict) else f": {fault['input']!r} can't be used"
    return f"{key}{value}: {fault['msg'].removeprefix('Value error, ')}."


def read_api_key(secrets: Path) -> str:
    """The node's API key from the mounted Secret.

    Raises:
        ConfigError: there is none, or it is not a UUID, which the server would refuse (PROTOCOL: 400).
    """
    try:
        key = (secrets / "api_key").read_text().strip()
    except OSError as error:
        raise ConfigError(f"The Secret has no readable api_key at {secrets} ({error.strerror}).") from error
    if not UUID.match(key):
        raise ConfigError("api_key is not a UUID; copy the key that the server showed when the node was registered.")
    return key
