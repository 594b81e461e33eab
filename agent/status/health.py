"""Whether the process lives, and whether it can take studies."""

from agent import model_toml
from agent.errors import AgentError
from agent.status.node_view import Site
from storage import activations, registry
from storage.errors import StorageError


def is_ready(site: Site) -> bool:
    """Database, room on the disk, the listener of this process and the model's folder."""
    try:
        site.database.check()
        with site.database.read() as session:
            current = activations.in_force(session)
            if current is not None:
                version = registry.get(session, current.model_name, current.model_version)
                model_toml.describe(site.folder_of(version))
        room = site.store.room()
    except (StorageError, AgentError, OSError):
        return False
    return room.free_bytes >= room.kept_bytes and (site.accepts is None or site.accepts())
